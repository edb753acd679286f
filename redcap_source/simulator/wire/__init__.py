"""Parameters, bodies and answer formats as they are sent; what faults do to a body."""
