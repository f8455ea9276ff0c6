"""A tracker, or a proxy before it, that says whatever it is told to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

#: Either kind of tracker acknowledges an event by it.
OK = (
    b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    + b'{"response":"ok","_rxid":"01000000-0000-0000-0000-000000000000"}'
)


class Liar:
    """A server on 127.0.0.1 that reads a request, says what ``answer`` makes of its body, and hangs up.

    Attributes:
        bodies: of the requests, in the order in which they were answered.
    """

    def __init__(self, answer: Callable[[bytes], bytes] = lambda body: OK) -> None:
        self.answer = answer
        self.bodies: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def origin(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10.0)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, suppress(OSError, ValueError):
                connection.settimeout(2.0)
                body = _read(connection)
                self.bodies.append(body)
                connection.sendall(self.answer(body))


def _read(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as stream:
        length = 0
        while (line := stream.readline(1 << 16)).strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        return stream.read(length)
