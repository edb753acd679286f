"""Parameters, bodies and answer formats as they go over the wire."""
