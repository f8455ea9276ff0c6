"""Connections whose answers come in time as a whole: a socket's timeout, meant for each wait, holds for all of them.

So one that drips byte by byte keeps nobody for longer than one that says nothing.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any, Optional

import urllib3.connection
import urllib3.connectionpool


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


class _Connection(urllib3.connection.HTTPConnection):
    response_class = _TimelyResponse


class _TlsConnection(urllib3.connection.HTTPSConnection):
    response_class = _TimelyResponse

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
