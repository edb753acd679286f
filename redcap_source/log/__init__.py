"""What REDCap's log and clock say."""
