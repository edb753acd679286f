"""Run the command line: turn every error into one message and an exit code."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from typing import NoReturn

from pipelines.cli.app import app
from pipelines.cli.failures import expected, file_problem, unexpected
from pipelines.cli.options import complain
from pipelines.interrupts import Interrupted, listening


def command() -> None:
    """The command as a process of its own: `main`, and then the end of the process.

    Where it went well, all is written and closed. Python would then take apart every module and object, which takes a
    short command an eighth of its time.
    """
    try:
        main()
    except SystemExit as ending:
        if ending.code:
            raise
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        # Nobody reads the output any more, which Python reports in its own way.
        return
    os._exit(0)


def main() -> None:
    """Run the command line; every failure is one message and exit code 1."""
    # Nearly all objects of a command live until its end; with Python's default threshold, garbage collection would cost
    # a short command a twentieth of its time.
    gc.set_threshold(50_000)
    try:
        with listening():
            app()
    except SystemExit:
        # Every command ends with a SystemExit, which needs no import of the types of expected errors.
        raise
    except Interrupted as signal:
        _end_interrupted(signal)
    except expected() as problem:
        complain(str(problem))
        sys.exit(1)
    except OSError as problem:
        complain(file_problem(problem))
        sys.exit(1)
    except Exception as problem:
        if os.environ.get("REDCAP_WAREHOUSE_TRACE"):
            raise
        complain(unexpected(problem))
        sys.exit(1)


def _end_interrupted(signal: Interrupted) -> NoReturn:
    """Say so and end at once: a request may still be running in a thread, and nothing waits for it."""
    try:
        complain(
            "Interrupted. No partial load was published; what was loaded or sent so far is recorded. Run the same "
            "command again to continue."
        )
        sys.stdout.flush()
    finally:
        # Also where the terminal or the reader of the output has gone.
        os._exit(signal.exit_code)
