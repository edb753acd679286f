"""The command line: one function for each command, which only calls and shows.

Heavy imports are inside the commands, so that --help answers in a fifth of a second.
"""

from pipelines.cli.main import command, main

__all__ = ["command", "main"]
