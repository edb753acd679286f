"""From REDCap to the mirror: the load of one project. Read load.py first."""
