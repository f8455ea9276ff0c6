"""The connections of the loopback tracker: which it keeps, refuses and cuts as it goes down, comes up and is forked."""

from __future__ import annotations

import errno
import http.client
import json
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from lastword.testing import LoopbackTracker
from tests.support.posting import EVENT, connect, send, swallow

IP_LOCAL_PORT_RANGE = 51  # Linux 6.3


@pytest.fixture
def tracker() -> Iterator[LoopbackTracker]:
    with LoopbackTracker("booboo") as running:
        yield running


def tracker_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "loopback tracker"]


# Connections


def test_one_connection_serves_many_requests(tracker: LoopbackTracker) -> None:
    """HTTP/1.1 with Content-Length: a sender may keep its connection."""
    connection = connect(tracker)
    assert send(tracker, over=connection).status == 202
    kept = connection.sock
    assert send(tracker, over=connection).status == 202
    assert connection.sock is kept
    connection.close()


def test_a_sender_that_asks_before_it_sends_its_body_is_told_to_go_on(tracker: LoopbackTracker) -> None:
    """``Expect: 100-continue`` gets its answer, else such a sender would wait for its own timeout."""
    body = json.dumps(EVENT).encode()
    head = f"POST / HTTP/1.1\r\nX-Booboo-DSN: loopback-token\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", tracker.port), timeout=10) as asking:
        asking.sendall(head.encode() + b"Expect: 100-continue\r\n\r\n")
        assert asking.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        asking.sendall(body)
        assert asking.recv(100).startswith(b"HTTP/1.1 202 ")


def test_an_answer_that_may_have_no_body_has_none(tracker: LoopbackTracker) -> None:
    """A 204 with a body would spoil the next answer on a kept connection."""
    tracker.answer(204, body=b"{}")
    with socket.create_connection(("127.0.0.1", tracker.port), timeout=10) as sender:
        sender.sendall(b"POST / HTTP/1.1\r\nX-Booboo-DSN: loopback-token\r\nContent-Length: 2\r\n\r\n{}")
        answer = sender.recv(1000)
    assert answer.startswith(b"HTTP/1.1 204 ")
    assert answer.endswith(b"\r\n\r\n")


def test_overlapping_requests_are_counted_and_successive_ones_are_not(tracker: LoopbackTracker) -> None:
    """``max_overlap`` stays 1 for a sender that waits for each answer, and is 3 for three that do not."""
    for _ in range(50):
        send(tracker)
    assert tracker.max_overlap == 1
    tracker.be_slow(60)
    senders = [threading.Thread(target=swallow, args=(send, tracker)) for _ in range(3)]
    for sender in senders:
        sender.start()
    tracker.wait_for(53)
    assert tracker.max_overlap == 3
    tracker.go_down()
    for sender in senders:
        sender.join(10)


# Going down and coming up


def test_a_tracker_that_is_down_refuses_connections_and_ends_those_it_had(tracker: LoopbackTracker) -> None:
    """``go_down`` closes the port for new senders and cuts kept-alive connections."""
    connection = connect(tracker)
    send(tracker, over=connection)
    tracker.go_down()
    assert connection.sock.recv(1) == b""
    connection.close()
    with pytest.raises(ConnectionRefusedError):
        send(tracker)
    assert len(tracker.requests) == 1


def test_a_tracker_comes_up_on_the_port_it_had(tracker: LoopbackTracker) -> None:
    """The DSN stays valid through any number of outages, and what was received before is still known."""
    dsn = tracker.dsn
    for count in range(1, 6):
        send(tracker)
        tracker.go_down()
        tracker.go_down()
        tracker.come_up()
        tracker.come_up()
        assert (tracker.dsn, len(tracker.events)) == (dsn, count)


def test_a_sender_never_draws_the_port_of_a_tracker_that_is_down(tracker: LoopbackTracker) -> None:
    """TCP lets a sender whose own port is drawn equal to its target's connect to itself; a held port is not drawn."""
    tracker.go_down()
    with socket.socket() as sender:
        with suppress(OSError):  # older kernels have no such option, and there the draw is left to chance
            sender.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("=HH", tracker.port, tracker.port))
        with pytest.raises(OSError) as refusal:
            sender.connect(("127.0.0.1", tracker.port))
        assert refusal.value.errno in (errno.ECONNREFUSED, errno.EADDRNOTAVAIL)


def test_the_port_of_a_tracker_that_is_down_is_given_to_nobody_else(tracker: LoopbackTracker) -> None:
    """Another test's server cannot be put where this tracker will come up again."""
    tracker.go_down()
    with socket.socket() as other, pytest.raises(OSError) as refusal:
        other.bind(("127.0.0.1", tracker.port))
    assert refusal.value.errno == errno.EADDRINUSE


@contextmanager
def a_forked_child() -> Iterator[None]:
    """While the block runs, a child of this process lives, with copies of all that was open."""
    stay, leave = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(leave)
        os.read(stay, 1)
        os._exit(0)
    try:
        yield
    finally:
        os.close(leave)
        os.close(stay)
        os.waitpid(child, 0)


def test_a_forked_child_that_lives_on_does_not_keep_the_tracker_up(tracker: LoopbackTracker) -> None:
    """A child's inherited copy of the listening socket must not answer for a tracker that is down."""
    connection = connect(tracker)
    send(tracker, over=connection)
    with a_forked_child():
        tracker.go_down()
        assert connection.sock.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            send(tracker)
        tracker.come_up()
        assert send(tracker).status == 202
    connection.close()


def test_a_forked_child_that_lives_on_does_not_keep_a_cut_connection_open(tracker: LoopbackTracker) -> None:
    """A child's inherited copy of a connection must not hide from the sender that it was closed."""
    connection = connect(tracker)
    send(tracker, over=connection)
    tracker.cut_answers(stored=False)
    with a_forked_child(), pytest.raises(http.client.RemoteDisconnected):
        send(tracker, over=connection)
    connection.close()


def test_a_forked_child_that_leaves_the_with_block_does_not_stop_the_tracker() -> None:
    """The tracker belongs to the process that made it; a child that unwinds the same block changes nothing."""
    with LoopbackTracker() as tracker:
        child = os.fork()
        if child == 0:
            tracker.__exit__(None, None, None)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert send(tracker).status == 202


def test_nothing_is_left_when_the_block_ends() -> None:
    """No thread and no open port outlive the ``with`` block, whatever the tracker was doing."""
    with LoopbackTracker() as tracker:
        idle = connect(tracker)
        send(tracker, over=idle)
        tracker.be_slow(60)
        sender = threading.Thread(target=swallow, args=(send, tracker))
        sender.start()
        tracker.wait_for(2)
    sender.join(10)
    idle.close()
    assert not sender.is_alive()
    assert tracker_threads() == []
    with pytest.raises(ConnectionRefusedError):
        send(tracker)
    assert len(tracker.events) == 2
