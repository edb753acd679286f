"""The data of a REDCap server: its projects, users, records, logs and clock."""
