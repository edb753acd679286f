"""What a REDCap server knows: projects, people, records, its log and clock."""
