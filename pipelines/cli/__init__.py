"""What a person types: one file for each command, and the exit code that a cron job reads.

Commands only call and show. Heavy imports stand inside the commands, so that --help answers at once.
"""

from pipelines.cli.main import main

__all__ = ["main"]
