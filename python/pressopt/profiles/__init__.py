"""Device profiles as checked data."""
