"""A way to PostgreSQL on which the answer to a commit can be lost: the commit happens, and nobody is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class PostgresWay:
    """Passes on what clients and the server of one port say to each other."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.lose_next_commit = False
        self.lost = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
                threading.Thread(target=self._requests, args=(client, server), daemon=True).start()
                threading.Thread(target=self._answers, args=(client, server), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while said := client.recv(1 << 20):
                if self.lose_next_commit and b"COMMIT" in said:
                    self.lose_next_commit = False
                    self.lost += 1
                    # Nothing more reaches the client, and the server is told to end when it has answered.
                    client.shutdown(socket.SHUT_RDWR)
                    server.sendall(said)
                    server.shutdown(socket.SHUT_WR)
                    return
                server.sendall(said)
        with suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _answers(self, client: socket.socket, server: socket.socket) -> None:
        with client, server, suppress(OSError):
            while said := server.recv(1 << 20):
                client.sendall(said)
            client.shutdown(socket.SHUT_WR)


@contextmanager
def way_to_postgres(port: int) -> Iterator[PostgresWay]:
    """Such a way, for the block."""
    way = PostgresWay(port)
    try:
        yield way
    finally:
        way.close()
