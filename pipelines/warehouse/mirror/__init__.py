"""One project's private database, which loads write and publishing reads."""
