"""Commands of studies: predict, map, screen, calibrate, simulate, reanalyse."""
