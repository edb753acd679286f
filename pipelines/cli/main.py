"""Run the command line: collect the commands, and turn every error into one message and an exit code."""

from __future__ import annotations

import gc
import os
import sys

# The order of the imports is the order of the commands in --help.
from pipelines.cli import forget, queries, simulate, sync, writeback  # noqa: F401
from pipelines.cli.app import app
from pipelines.cli.failures import expected, file_problem, unexpected
from pipelines.cli.options import complain
from pipelines.interrupts import Interrupted, listening


def main() -> None:
    """The command line; every expected failure is one message and exit code 1."""
    # Nearly all that a command makes in Python stays till its end; looking for garbage as often as Python does by
    # itself costs a short one a twentieth of its time.
    gc.set_threshold(50_000)
    try:
        with listening():
            app()
    except SystemExit:
        # Every command ends with one; what may be expected need not be imported to be told from it.
        raise
    except expected() as problem:
        complain(str(problem))
        sys.exit(1)
    except Interrupted as signal:
        complain(
            "Interrupted. No partial load was published; what was loaded or sent so far is recorded. Run the same "
            "command again to continue."
        )
        # A request may still be under way in a thread, and nobody is to wait for it.
        sys.stdout.flush()
        os._exit(signal.exit_code)
    except OSError as problem:
        complain(file_problem(problem))
        sys.exit(1)
    except Exception as problem:
        if os.environ.get("REDCAP_WAREHOUSE_TRACE"):
            raise
        complain(unexpected(problem))
        sys.exit(1)
