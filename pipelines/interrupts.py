"""Signals that ask a process to end: Ctrl-C, and the polite kill of a system that shuts down.

They are told from failures, so that the ledger, the message and the exit code say what happened. Only the command line
listens for them; Dagster and a library's user have their own handlers.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = "Interrupted."
SIGNALS = (signal.SIGINT, signal.SIGTERM)
# A block that is left because of one of these has nothing more to wait for.
_ENDINGS = (KeyboardInterrupt, SystemExit)


class Interrupted(BaseException):
    """A signal asked this process to end. Not a KeyboardInterrupt, which the command line library would swallow."""

    def __init__(self, number: int) -> None:
        super().__init__(INTERRUPTED)
        self.exit_code = 128 + number


class _Watch:
    """Which signal has come, if any: what a signal interrupts may turn its exception into another one."""

    def __init__(self) -> None:
        self.number: int | None = None

    def take(self, number: int, frame: FrameType | None) -> None:
        if self.number is None:
            self.number = number
            raise Interrupted(number)
        # Asked a second time: no more waiting for anything.
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


_watch = _Watch()


@contextmanager
def listening() -> Iterator[None]:
    """Within the block either signal raises Interrupted in the main thread, once; a second one ends the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _watch.number = None
    before = {number: signal.signal(number, _watch.take) for number in SIGNALS}
    try:
        yield
    except BaseException as problem:
        # DuckDB, interrupted in a query, reports an error of its own instead.
        if _watch.number is not None and not isinstance(problem, Interrupted):
            raise Interrupted(_watch.number) from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _watch.number = None


def was_interrupted(problem: BaseException) -> bool:
    """Whether a run ended with this error because somebody asked it to end."""
    return _watch.number is not None or isinstance(problem, Interrupted | KeyboardInterrupt)


@contextmanager
def workers(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads for requests to REDCap, at most `count` at once.

    Leaving the block drops what was not begun and waits for what is under way; not after an interruption: a request may
    take minutes, and whoever ended the run is waiting.
    """
    pool = ThreadPoolExecutor(count, thread_name_prefix="redcap")
    wait = True
    try:
        yield pool
    except (Interrupted, *_ENDINGS):
        wait = False
        raise
    finally:
        pool.shutdown(wait=wait and _watch.number is None, cancel_futures=True)
