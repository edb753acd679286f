"""Everything on disk: the private mirror of each project, and the published warehouse."""
