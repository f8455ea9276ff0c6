"""Connections whose answers come in time as a whole: a socket's timeout, meant for each wait, holds for all of them.

So one that drips byte by byte keeps nobody for longer than one that says nothing. And connections that know whether
their descriptor is still theirs: a flusher may be a thread of a program that becomes a daemon and closes them all.
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
    """Reads from a socket whose timeout, meant for each wait, it spends on all of them together."""

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
                self._connection.settimeout(self._timeout)  # it is kept alive
            except OSError:  # it was not
                pass
            self._raw.close()
        super().close()


class _TimelyResponse(http.client.HTTPResponse):
    """An answer that comes within the time that one read of it may take, head and body, or not at all."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(TimelyReader(self.fp.detach(), sock))

    def begin(self) -> None:
        """Read the head. Lines of it that are no headers are let go: urllib3 would log them as they came, and beside
        them the URL, which has the token.
        """
        super().begin()
        self.msg.defects.clear()
        self.msg.set_payload("")


class _Guard:
    """A socket that neither uses nor closes its descriptor once that is another's."""

    identity: tuple[int, int]

    def is_ours(self) -> bool:
        """Whether the descriptor is still that of this connection."""
        try:
            return self.identity == _identity_of(self.fileno())  # type: ignore[attr-defined]
        except OSError:
            return False

    def close(self) -> None:
        if not self.is_ours():
            self.detach()  # type: ignore[attr-defined]
        super().close()  # type: ignore[misc]

    def __del__(self) -> None:
        with suppress(Exception):  # the interpreter may be gone in part
            self.close()  # else it is closed unasked

    def sendall(self, *arguments: Any) -> None:
        self._check()
        super().sendall(*arguments)  # type: ignore[misc]

    def recv_into(self, *arguments: Any) -> Any:
        self._check()
        return super().recv_into(*arguments)  # type: ignore[misc]

    def settimeout(self, seconds: Optional[float]) -> None:
        self._check()  # for it says to the descriptor whether it waits
        super().settimeout(seconds)  # type: ignore[misc]

    def _check(self) -> None:
        if not self.is_ours():
            raise OSError(errno.EBADF, "this program has closed the connection")


class GuardedSocket(_Guard, socket.socket):
    """A plain one. It takes no number of a standard stream: what a program without them prints would be sent."""

    def __init__(self, family: int = -1, kind: int = -1, protocol: int = -1, fileno: Optional[int] = None) -> None:
        super().__init__(family, kind, protocol, fileno)
        if self.fileno() <= 2:
            super().__init__(self.family, self.type, self.proto, beside_standard_streams(self.detach()))
        self.identity = _identity_of(self.fileno())


class GuardedTlsSocket(_Guard, ssl.SSLSocket):
    """What ``over_tls`` makes."""


def over_tls(connection: socket.socket, identity: tuple[int, int]) -> socket.socket:
    """The same one, guarded, if it is the standard library's; ``identity`` is that of its descriptor by right."""
    if isinstance(connection, ssl.SSLSocket):
        connection.__class__ = GuardedTlsSocket
        vars(connection)["identity"] = identity
    return connection


def _identity_of(descriptor: int) -> tuple[int, int]:
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino


def _connected(to: urllib3.connection.HTTPConnection) -> GuardedSocket:
    """A connection as urllib3 makes it, but for the guard that it has from before it is connected."""
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
        """Ask a proxy for the way, and let go of its answer: before Python 3.11 one that says no kept the socket
        open as long as anybody kept the exception.
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


#: For the managers of urllib3 that are to make such connections.
TIMELY_POOLS = {"http": _Pool, "https": _TlsPool}
