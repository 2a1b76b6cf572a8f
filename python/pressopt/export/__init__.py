"""What leaves the program: protocol file, operator's sheet, pictures."""
