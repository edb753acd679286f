"""The command move-store, which moves a whole warehouse."""
