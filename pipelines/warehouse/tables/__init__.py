"""Which tables and views a project becomes. Pure: no file, no connection."""
