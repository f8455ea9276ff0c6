"""Servers on 127.0.0.1 that behave as badly as a test wants: over TLS or not, as a tracker or as a proxy before one."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

#: Seconds: long enough that no test which passes ever waits for it.
PATIENCE = 20.0

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Behaviour = Callable[[socket.socket, "Server"], None]


@dataclass(frozen=True)
class Certificate:
    """A certificate for 127.0.0.1 and its key, in one file. It is its own CA."""

    path: Path

    @classmethod
    def made(cls, directory: Path) -> Certificate:
        """A new one, by the openssl command."""
        path, key = directory / "certificate.pem", directory / "key.pem"
        usages = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,digitalSignature,keyCertSign"]
        added = [word for usage in ["subjectAltName=IP:127.0.0.1", *usages] for word in ("-addext", usage)]
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        command = ["openssl", "req", "-x509", *kind, "-subj", "/CN=loopback", *added, "-keyout", str(key)]
        # No configuration but ours: that of the system adds the first of them a second time.
        subprocess.run(
            [*command, "-out", str(path), "-config", "/dev/stdin"],
            input=b"[req]\ndistinguished_name=dn\n[dn]\n",
            check=True,
        )
        path.write_text(path.read_text() + key.read_text())
        return cls(path)

    @property
    def for_server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(self.path))  # PyPy takes no Path
        return context


class Server:
    """A listening socket that serves every connection as ``behave`` says and keeps the heads it read."""

    def __init__(self, behave: Behaviour, certificate: Optional[Certificate] = None) -> None:
        self.behave = behave
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self.finished = threading.Event()
        self._tls = None if certificate is None else certificate.for_server
        self._handles: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/post?token=SECRET"

    def read_request(self, connection: socket.socket) -> bytes | None:
        """The body of the next request on this connection, its head kept; None when there is none."""
        with connection.makefile("rb") as stream:  # one left open would keep the connection open, too, on PyPy
            lines = []
            while (line := stream.readline().decode("latin-1").rstrip()) != "":
                lines.append(line)
            if not lines:
                return None
            self.heads.append("\n".join(lines))
            lengths = [line.split(":")[1] for line in lines if line.lower().startswith("content-length:")]
            self.bodies.append(stream.read(int(lengths[0])) if lengths else b"")
            return self.bodies[-1]

    def stop(self) -> None:
        self.finished.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for handle in self._handles:  # whoever still holds the other end, such as PyPy's uncollected garbage
            _hang_up(handle)
        for thread in self._threads:
            thread.join(PATIENCE)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        with ExitStack() as stack:
            stack.enter_context(connection)
            handle = stack.enter_context(connection.dup())
            self._handles.append(handle)
            stack.callback(_hang_up, handle)
            try:
                if self._tls is not None:
                    connection = stack.enter_context(self._tls.wrap_socket(connection, server_side=True))
                self.behave(connection, self)
            except OSError:
                return


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


Serve = Callable[..., Server]


@contextmanager
def servers() -> Iterator[Serve]:
    """Starts servers as it is called, like ``Server``; stops them all in the end."""
    started: list[Server] = []

    def start(behave: Behaviour, certificate: Optional[Certificate] = None) -> Server:
        started.append(Server(behave, certificate))
        return started[-1]

    try:
        yield start
    finally:
        for server in started:
            server.stop()


def answering(answer: bytes) -> Behaviour:
    """Reads each request whole and gives the same answer, on a connection that it keeps."""

    def behave(connection: socket.socket, server: Server) -> None:
        while server.read_request(connection) is not None:
            connection.sendall(answer)

    return behave


def silent(connection: socket.socket, server: Server) -> None:
    """Takes the request and never says a word."""
    server.read_request(connection)
    server.finished.wait(PATIENCE)


def redirecting(status: int, location: str) -> Behaviour:
    """Sends everybody elsewhere."""
    return answering(f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())


def relaying(connection: socket.socket, server: Server) -> None:
    """A proxy: makes the connection that CONNECT asks for and passes on what comes, both ways."""
    server.read_request(connection)
    host, _, port = server.heads[-1].split()[1].rpartition(":")
    with socket.create_connection((host, int(port)), PATIENCE) as onward:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        answers = threading.Thread(target=_pass_on, args=(onward, connection), daemon=True)
        answers.start()
        _pass_on(connection, onward)
        answers.join(PATIENCE)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while block := source.recv(65536):
            target.sendall(block)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def in_front_of(port: int) -> Behaviour:
    """Passes each request on to a server of plain HTTP at ``port``, and its answer back."""

    def behave(connection: socket.socket, server: Server) -> None:
        while (body := server.read_request(connection)) is not None:
            request, *fields = server.heads[-1].split("\n")
            headers = dict(field.split(": ", 1) for field in fields)
            onward = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            onward.request("POST", request.split()[1], body, headers)
            answer = onward.getresponse()
            said = answer.read()
            onward.close()
            connection.sendall(f"HTTP/1.1 {answer.status} OK\r\nContent-Length: {len(said)}\r\n\r\n".encode() + said)

    return behave


@contextmanager
def full_backlog() -> Iterator[int]:
    """A port that takes no further connection, and refuses none: who comes has to wait."""
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
