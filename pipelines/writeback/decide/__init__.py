"""What may be written, and what is decided about each cell. Pure."""
