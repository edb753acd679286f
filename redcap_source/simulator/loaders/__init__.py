"""Makes a project from a project XML, a folder of tables, or a data dictionary."""
