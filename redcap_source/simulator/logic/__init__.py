"""REDCap's logic and calculations: parses and evaluates them."""
