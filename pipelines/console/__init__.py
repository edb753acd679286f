"""What a terminal shows: tables, progress bars, and the SQL shell."""
