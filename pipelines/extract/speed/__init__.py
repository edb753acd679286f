"""How fast a server answers, and what that makes of a set of requests."""
