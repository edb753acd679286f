"""REDCap's logic and calculations: parsed and evaluated."""
