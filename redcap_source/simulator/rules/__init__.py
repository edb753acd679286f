"""What REDCap accepts, and what follows from a change."""
