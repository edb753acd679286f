"""A project from a project XML, a folder, or a data dictionary."""
