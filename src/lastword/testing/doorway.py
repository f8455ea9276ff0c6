"""A listening port that can be closed and opened again, with a thread for each connection."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from typing import Callable, Optional

HOST = "127.0.0.1"


class Doorway:
    """A port of 127.0.0.1 that can be opened and closed repeatedly, and stays reserved in between.

    ``converse`` is called with each connection, in a thread of its own. It may raise OSError, which means that the
    other side, or ``close``, has ended the connection.

    While the doorway is closed, a socket stays bound to the port without listening. Connections are still refused, but
    no other program can get the port, and a sender that retries cannot connect to itself, which TCP allows on a free
    port in the range from which the sender's own port is drawn.
    """

    def __init__(self, converse: Callable[[socket.socket], None]) -> None:
        self._converse = converse
        self._owner = os.getpid()
        self._lifecycle = threading.Lock()  # only one open() or close() at a time
        self._socket = _bind(0)
        self.port: int = self._socket.getsockname()[1]
        self._acceptor: Optional[threading.Thread] = None
        self._closing = False
        self._guests_lock = threading.Lock()
        self._guests: dict[threading.Thread, socket.socket] = {}

    def open(self) -> None:
        """Listen, unless it already does."""
        with self._lifecycle:
            if self._acceptor is None:
                self._closing = False
                self._socket.listen(128)
                self._socket.settimeout(0.25)  # on some systems shutdown() does not wake accept()
                self._acceptor = threading.Thread(target=self._accept, name="loopback tracker", daemon=True)
                self._acceptor.start()

    def close(self) -> None:
        """Stop listening and end every connection; return once the last thread has ended."""
        with self._lifecycle:
            if self._acceptor is not None:
                self._turn_everyone_out(self._acceptor)
                self._acceptor = None
                self._socket = _bind(self.port)

    def abandon(self) -> None:
        """Close for good. In a forked child, which has only copies of the sockets, this does not affect the parent."""
        if os.getpid() == self._owner:
            self.close()
            self._socket.close()

    def _accept(self) -> None:
        while not self._closing:
            try:
                guest, _ = self._socket.accept()
            except socket.timeout:
                continue
            except OSError:
                return
            thread = threading.Thread(target=self._host, args=(guest,), name="loopback tracker", daemon=True)
            with self._guests_lock:
                self._guests[thread] = guest
            thread.start()

    def _host(self, guest: socket.socket) -> None:
        try:
            with guest, suppress(OSError):
                self._converse(guest)
                _end(guest)
        finally:
            with self._guests_lock:
                del self._guests[threading.current_thread()]

    def _turn_everyone_out(self, acceptor: threading.Thread) -> None:
        self._closing = True
        _end(self._socket)
        acceptor.join()
        self._socket.close()
        with self._guests_lock:
            guests = dict(self._guests)
        for guest in guests.values():
            _end(guest)
        for thread in guests:
            thread.join()


def _end(connected: socket.socket) -> None:
    """Shut the connection down in every process: after close() alone, a forked child's copy would keep it open."""
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)


def _bind(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
    except OSError:
        bound.close()
        raise
    return bound
