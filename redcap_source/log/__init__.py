"""REDCap's log: which records changed, and the server's clock."""
