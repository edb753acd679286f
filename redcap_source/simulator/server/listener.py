"""The socket that accepts connections, and what its handlers share."""

from __future__ import annotations

from collections.abc import Callable
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from redcap_source.simulator.engine import Engine
from redcap_source.simulator.errors import SimulatorError

# Answers a command at the control endpoint: (path, headers, body) -> status and JSON.
ControlAnswer = Callable[[str, Message, bytes], tuple[int, bytes]]


class Listener(ThreadingHTTPServer):
    """Listens on an address; each connection is handled in a thread of its own."""

    daemon_threads = True
    # Connections that clients keep alive must not delay stopping.
    block_on_close = False
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        engine: Engine,
        control: ControlAnswer,
    ) -> None:
        self.engine = engine
        self.control = control
        try:
            super().__init__(address, handler)
        except OSError as error:
            raise SimulatorError(
                f"Cannot serve on port {address[1]}: {error.strerror}. Choose another port, or 0 for any free one."
            ) from error

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that hang up."""
