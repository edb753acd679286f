"""REDCap's answers as files: reading them from SQL, and verifying that they are complete."""
