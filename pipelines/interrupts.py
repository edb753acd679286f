"""Signals that ask a process to end: Ctrl-C, and the SIGTERM of a system that is shutting down.

They are distinguished from failures, so that the ledger, the message and the exit code say what happened. Only the
command line installs these handlers; Dagster and programs that use the library have their own.

Python runs a handler only when its main thread next runs Python code. A signal that arrives just before the main thread
waits for a lock, a socket or a time does not end that wait; nor does a signal that the system delivered to another
thread. And an exception that a handler raises within a `__del__` method is discarded. So a thread of its own
(`_Waker`) wakes the main thread after a signal until the exception has been raised where it has an effect.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

INTERRUPTED = "Interrupted."
SIGNALS = (signal.SIGINT, signal.SIGTERM)
# A block that ends with one of these does not wait for its threads.
_ENDINGS = (KeyboardInterrupt, SystemExit)
# Ends the main thread's wait and does nothing else: systems ignore it unless a program asks for it. Windows has none.
_WAKE: int | None = getattr(signal, "SIGURG", None)
# Seconds between two attempts to wake the main thread, which may be in a long call of a library.
_PAUSE = 0.05
# Seconds that cleaning up may take before the exception is raised again: more than the demo leaves Dagster to end.
_PATIENCE = 30.0


class Interrupted(BaseException):
    """A signal asked this process to end. Not a KeyboardInterrupt, which the command line library would catch."""

    def __init__(self, number: int) -> None:
        super().__init__(INTERRUPTED)
        self.exit_code = 128 + number


class _Watch:
    """The signal that was received, if any: interrupted code may turn the exception into another one."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.discarded = False
        """Whether Python discarded the exception, so that it has to be raised again."""

    def receive(self, number: int, frame: FrameType | None) -> None:
        if self.number is None:
            self.number = number
            raise Interrupted(number)
        # A second signal ends the process at once.
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    def wake(self, number: int, frame: FrameType | None) -> None:
        if self.discarded and self.number is not None:
            self.discarded = False
            raise Interrupted(self.number)

    @property
    def is_raised(self) -> bool:
        """Whether the signal has become an exception that ends the main thread's work."""
        return self.number is not None and not self.discarded


_watch = _Watch()


class _Waker:
    """Wakes the main thread after a signal, until the signal has been raised there as an exception."""

    def __init__(self, wake: int, patience: float) -> None:
        self._wake, self._patience = wake, patience
        self._main = threading.get_ident()
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="signals", daemon=True)

    def start(self) -> None:
        self._hook = sys.unraisablehook
        sys.unraisablehook = self._note_discarded
        self._handler = signal.signal(self._wake, _watch.wake)
        # The system's part of each handler writes the signal's number there, whatever the main thread is doing.
        self._wakeup_fd = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        self._thread.start()

    def end(self) -> None:
        signal.set_wakeup_fd(self._wakeup_fd)
        self._ended.set()
        os.write(self._writing, b"\0")
        self._thread.join()
        signal.signal(self._wake, self._handler)
        sys.unraisablehook = self._hook
        os.close(self._reading)
        os.close(self._writing)

    def _note_discarded(self, args: UnraisableHookArgs) -> None:
        """Python discarded an exception; if it was a signal's, it is raised again."""
        if isinstance(args.exc_value, Interrupted):
            # The last thing done here: what is raised within this function is discarded too.
            _watch.discarded = True
        else:
            self._hook(args)

    def _run(self) -> None:
        while not self._ended.is_set():
            if set(os.read(self._reading, 64)) & set(SIGNALS):
                self._wake_main_thread()

    def _wake_main_thread(self) -> None:
        since = time.monotonic()
        while not self._ended.wait(_PAUSE):
            if _watch.is_raised:
                if time.monotonic() - since < self._patience:
                    continue
                _watch.discarded, since = True, time.monotonic()
            signal.pthread_kill(self._main, self._wake)


@contextmanager
def listening(*, patience: float = _PATIENCE) -> Iterator[None]:
    """Within the block either signal raises Interrupted in the main thread; a second one ends the process.

    If the block has not ended `patience` seconds later, Interrupted is raised once more.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _watch.number, _watch.discarded = None, False
    waker = None if _WAKE is None else _Waker(_WAKE, patience)
    if waker is not None:
        waker.start()
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
        if waker is not None:
            waker.end()
        _watch.number = None


def interrupted() -> bool:
    """Whether a signal asked this process to end."""
    return _watch.number is not None


def was_interrupted(problem: BaseException) -> bool:
    """Whether a run ended with this error because of a signal."""
    return interrupted() or isinstance(problem, Interrupted | KeyboardInterrupt)


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
        pool.shutdown(wait=wait and not interrupted(), cancel_futures=True)
