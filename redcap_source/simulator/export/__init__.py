"""How records are written into answers."""
