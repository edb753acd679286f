"""The HTTP side: sockets, headers, bodies in pieces, and the faults that happen on the wire.

Nothing is printed or logged here: requests hold tokens and values. Not here: what an answer says (engine.py).
"""
