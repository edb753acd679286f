"""Which tables and views are made from a project. Pure: no file, no connection."""
