"""One file for each kind of API request, and the router that finds it."""
