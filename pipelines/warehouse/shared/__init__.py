"""Versions of the mirrors in a place that all machines share, and each machine's working copies of them."""
