"""The promise: a flusher in a thread leaves alone what has the numbers of its descriptors by now."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastword.descriptors import KeptDescriptor
from lastword.flusher.glance import Glance
from lastword.testing import LoopbackTracker
from lastword.transport.timely_connections import GuardedSocket, over_tls
from tests.support.programs import PROGRAMS, run
from tests.support.promise import Section, promise
from tests.support.spools import directory_of_a_writer

pytestmark = promise(
    Section.FLUSHER_MODES,
    "A daemon's files and sockets are left alone although a flusher thread once had their numbers",
    broken_by="a kept descriptor closed, or asked, without a check; a connection used without one; the "
    "check only once it is connected",
)


@pytest.mark.parametrize("when", ["kept", "on its way"])
def test_daemon_with_a_flusher_thread_keeps_its_files_and_sockets(when: str, tmp_path: Path) -> None:
    """Files, sockets and file positions are the daemon's own; its later events arrive."""
    with LoopbackTracker() as tracker:
        if when == "on its way":
            tracker.be_slow(0.5)
        run(PROGRAMS / "becomes_a_daemon.py", when, spool=tmp_path / "spool", dsn=tracker.dsn, patience=120)
        assert {event.message for event in tracker.events} == {"before", "after"}


@pytest.fixture(params=["plain", "TLS"])
def connections(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A guarded connection, and the socket that has its number now."""
    mine, other = socket.socketpair()
    connection: socket.socket
    connection = plain = GuardedSocket(mine.family, mine.type, mine.proto, mine.detach())
    if request.param == "TLS":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        wrapped = context.wrap_socket(plain, server_hostname="x", do_handshake_on_connect=False)
        connection = over_tls(wrapped, plain.identity)
    theirs, end = socket.socketpair()
    os.dup2(theirs.fileno(), connection.fileno())
    with theirs, end, other:
        yield connection, end


def test_connection_with_a_reused_descriptor_number_is_not_used(
    connections: tuple[socket.socket, socket.socket],
) -> None:
    """It is dropped without closing the descriptor, in each of the ways to drop it."""
    connection, end = connections
    number = connection.fileno()
    os.set_blocking(number, True)
    end.sendall(b"for the program")
    for use in (
        lambda: connection.sendall(b"secret"),
        lambda: connection.settimeout(1.0),
        lambda: connection.recv_into(bytearray(3)),
    ):
        with pytest.raises(OSError, match="closed the connection"):
            use()
    assert os.get_blocking(number)
    connection.close()
    assert os.read(number, 100) == b"for the program"
    os.close(number)


def test_forgotten_connection_closes_only_its_own_descriptor(connections: tuple[socket.socket, socket.socket]) -> None:
    """When it is forgotten, a number that is another's stays open; and one that is its own does not."""
    connection = connections[0]
    number = connection.fileno()
    connection.__del__()  # type: ignore[attr-defined]
    os.fstat(number)
    os.close(number)
    mine, other = socket.socketpair()
    forgotten = GuardedSocket(mine.family, mine.type, mine.proto, mine.detach())
    guarded_number = forgotten.fileno()
    del forgotten
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(guarded_number)
    assert other.recv(1) == b""
    other.close()


def test_kept_descriptor_closes_only_its_own_file(tmp_path: Path) -> None:
    """And reports a size only while the descriptor is its own."""
    (tmp_path / "ours").write_bytes(b"12345")
    (tmp_path / "theirs").write_bytes(b"12345")
    number = os.open(tmp_path / "ours", os.O_RDONLY)
    kept = KeptDescriptor(number)
    assert kept.size() == 5
    theirs = os.open(tmp_path / "theirs", os.O_RDONLY)
    os.dup2(theirs, number)
    assert kept.size() is None
    kept.close()
    assert os.read(number, 9) == b"12345"
    os.close(number)
    assert kept.size() is None
    os.close(theirs)


def test_glance_by_a_reused_descriptor_number_is_a_full_look(tmp_path: Path) -> None:
    """Everything is read anew, and the position in the other file does not change."""
    writer = directory_of_a_writer(tmp_path)
    segment = writer / "000001.seg"
    segment.write_bytes(b"12345")
    (writer / "alive.lock").touch()
    glance = Glance(str(writer))
    glance.remember(str(segment), 1000.0)
    assert glance.shows_no_change(1006.0)
    assert glance.open_segment is not None
    number = glance.open_segment[0].number
    (tmp_path / "theirs").write_bytes(b"12345")
    theirs = os.open(tmp_path / "theirs", os.O_RDONLY)
    os.dup2(theirs, number)
    assert not glance.shows_no_change(1007.0)
    glance.close()
    assert os.lseek(number, 0, os.SEEK_CUR) == 0
    os.close(number)
    os.close(theirs)
