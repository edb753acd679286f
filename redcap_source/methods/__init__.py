"""Every method of the REDCap API, in Python's terms."""
