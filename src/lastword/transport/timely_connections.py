"""Connections that limit the time of a whole answer: a socket's timeout, meant for each wait, limits all of them.

So an answer that comes byte by byte takes no longer than one that never comes. These connections also check that their
descriptor is still theirs: a flusher may be a thread of a program that becomes a daemon and closes all descriptors.
"""

from __future__ import annotations

import errno
import http.client
import io
import os
import socket
import ssl
import time
from contextlib import suppress
from typing import Any, Optional

import urllib3.connection
import urllib3.connectionpool
import urllib3.exceptions

from lastword.descriptors import beside_standard_streams


class TimelyReader(io.RawIOBase):
    """Reads from a socket, and applies its timeout, meant for each wait, to all waits together."""

    def __init__(self, raw: io.RawIOBase, connection: socket.socket) -> None:
        self._raw = raw
        self._connection = connection
        self._timeout = connection.gettimeout()
        self._deadline = time.monotonic() + (self._timeout or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Optional[int]:
        if self._timeout is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise socket.timeout("timed out")
            self._connection.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            try:
                self._connection.settimeout(self._timeout)  # the connection is kept alive
            except OSError:  # it is closed
                pass
            self._raw.close()
        super().close()


class _TimelyResponse(http.client.HTTPResponse):
    """An answer whose head and body together must come within the timeout of one read, or it fails."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(TimelyReader(self.fp.detach(), sock))

    def begin(self) -> None:
        """Read the head, and discard lines of it that are not headers: urllib3 would log them unchanged, together with
        the URL, which holds the token.
        """
        super().begin()
        self.msg.defects.clear()
        self.msg.set_payload("")


class _Guard:
    """A socket that neither uses nor closes its descriptor number once that belongs to another file."""

    identity: tuple[int, int]

    def is_ours(self) -> bool:
        """Return whether the descriptor is still that of this connection."""
        try:
            return self.identity == _identity_of(self.fileno())  # type: ignore[attr-defined]
        except OSError:
            return False

    def close(self) -> None:
        if not self.is_ours():
            self.detach()  # type: ignore[attr-defined]
        super().close()  # type: ignore[misc]

    def __del__(self) -> None:
        with suppress(Exception):  # the interpreter may be partly shut down
            self.close()  # otherwise it would be closed without the check

    def sendall(self, *arguments: Any) -> None:
        self._check()
        super().sendall(*arguments)  # type: ignore[misc]

    def recv_into(self, *arguments: Any) -> Any:
        self._check()
        return super().recv_into(*arguments)  # type: ignore[misc]

    def settimeout(self, seconds: Optional[float]) -> None:
        self._check()  # because it sets the descriptor's blocking mode
        super().settimeout(seconds)  # type: ignore[misc]

    def _check(self) -> None:
        if not self.is_ours():
            raise OSError(errno.EBADF, "this program has closed the connection")


class GuardedSocket(_Guard, socket.socket):
    """A plain socket, never with a standard stream's number: a program without one would print into the connection."""

    def __init__(self, family: int = -1, kind: int = -1, protocol: int = -1, fileno: Optional[int] = None) -> None:
        super().__init__(family, kind, protocol, fileno)
        if self.fileno() <= 2:
            super().__init__(self.family, self.type, self.proto, beside_standard_streams(self.detach()))
        self.identity = _identity_of(self.fileno())


class GuardedTlsSocket(_Guard, ssl.SSLSocket):
    """The socket that ``over_tls`` returns."""


def over_tls(connection: socket.socket, identity: tuple[int, int]) -> socket.socket:
    """Guard ``connection`` if it is of the standard library; ``identity`` is that of its own descriptor."""
    if isinstance(connection, ssl.SSLSocket):
        connection.__class__ = GuardedTlsSocket
        vars(connection)["identity"] = identity
    return connection


def _identity_of(descriptor: int) -> tuple[int, int]:
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino


def _connected(to: urllib3.connection.HTTPConnection) -> GuardedSocket:
    """Connect as urllib3 does, but with a socket that is guarded from the start."""
    trouble: OSError = OSError(errno.EADDRNOTAVAIL, "the host has no address")
    try:
        found = socket.getaddrinfo(to._dns_host.strip("[]"), to.port, 0, socket.SOCK_STREAM)
    except OSError as error:
        found, trouble = [], error
    for family, kind, protocol, _, address in found:
        connection = None
        try:
            connection = GuardedSocket(family, kind, protocol)
            for option in to.socket_options or ():
                connection.setsockopt(*option)
            if isinstance(to.timeout, (int, float)):
                connection.settimeout(to.timeout)
            connection.connect(address)
            return connection
        except OSError as error:
            trouble = error
            if connection is not None:
                connection.close()
    if isinstance(trouble, socket.timeout):
        raise urllib3.exceptions.ConnectTimeoutError(to, "it took too long to connect") from trouble
    raise urllib3.exceptions.NewConnectionError(to, f"no connection: {trouble}") from trouble


class _Connection(urllib3.connection.HTTPConnection):
    response_class = _TimelyResponse

    def _new_conn(self) -> socket.socket:
        return _connected(self)


class _TlsConnection(urllib3.connection.HTTPSConnection):
    response_class = _TimelyResponse
    _identity = (-1, -1)

    def _new_conn(self) -> socket.socket:
        connection = _connected(self)
        self._identity = connection.identity
        return connection

    def connect(self) -> None:
        super().connect()
        if self.sock is not None:
            self.sock = over_tls(self.sock, self._identity)

    def _tunnel(self) -> None:
        """Ask a proxy for a tunnel, and close its answer: before Python 3.11 an answer that refused kept the socket
        open as long as the exception existed.
        """
        answers: list[_TimelyResponse] = []

        def kept(*arguments: Any, **options: Any) -> _TimelyResponse:
            answers.append(_TimelyResponse(*arguments, **options))
            return answers[-1]

        self.response_class = kept  # type: ignore[assignment]
        try:
            super()._tunnel()
        finally:
            del self.response_class
            for answer in answers:
                answer.close()


class _Pool(urllib3.connectionpool.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.connectionpool.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


#: The pool classes, by scheme, for the managers of urllib3.
TIMELY_POOLS = {"http": _Pool, "https": _TlsPool}
