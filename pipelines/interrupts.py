"""Signals that ask a process to end: Ctrl-C, and the SIGTERM of a system that is shutting down.

They are distinguished from failures, so that the ledger, the message and the exit code say what happened. Only the
command line installs these handlers; Dagster and programs that use the library have their own.
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
# A block that ends with one of these does not wait for its threads.
_ENDINGS = (KeyboardInterrupt, SystemExit)


class Interrupted(BaseException):
    """A signal asked this process to end. Not a KeyboardInterrupt, which the command line library would catch."""

    def __init__(self, number: int) -> None:
        super().__init__(INTERRUPTED)
        self.exit_code = 128 + number


class _Watch:
    """The signal that was received, if any: interrupted code may turn the exception into another one."""

    def __init__(self) -> None:
        self.number: int | None = None

    def receive(self, number: int, frame: FrameType | None) -> None:
        if self.number is None:
            self.number = number
            raise Interrupted(number)
        # A second signal ends the process at once.
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


_watch = _Watch()


@contextmanager
def listening() -> Iterator[None]:
    """Within the block either signal raises Interrupted in the main thread; a second one ends the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _watch.number = None
    before = {number: signal.signal(number, _watch.receive) for number in SIGNALS}
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
    """Whether a run ended with this error because of a signal."""
    return _watch.number is not None or isinstance(problem, Interrupted | KeyboardInterrupt)


@contextmanager
def workers(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads for requests to REDCap, at most `count` at once.

    At the end of the block, requests not yet started are dropped, and running ones are waited for, but not after an
    interruption: a request may take minutes, and the person who interrupted the run is waiting.
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
