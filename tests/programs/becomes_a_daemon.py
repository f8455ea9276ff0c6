"""A program that becomes a daemon while its flusher only looks (``kept``), or sends and waits for an answer."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import lastword
from lastword.flusher import glance
from lastword.flusher.leadership import Leadership
from tests.support.prelude import acked


def path_of(number: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        return ""


def look(number: int) -> tuple[object, ...]:
    found = os.fstat(number)
    offset = None if path_of(number).startswith("socket:") else os.lseek(number, 0, os.SEEK_CUR)
    return found.st_dev, found.st_ino, found.st_size, offset, fcntl.fcntl(number, fcntl.F_GETFL)


def ours() -> set[int]:
    return {int(name) for name in os.listdir("/proc/self/fd") if int(name) > 2}


def is_connected(number: int) -> bool:
    """Whether it leads to the tracker: resolving a name opens sockets too, for an instant."""
    if not path_of(number).startswith("socket:"):
        return False
    try:
        with socket.socket(fileno=os.dup(number)) as connection:
            return bool(connection.getpeername()[1] == urlsplit(os.environ["TEST_DSN"]).port)
    except OSError:  # not connected yet
        return False


turn = threading.Lock()


def in_turn(act: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def in_its_turn(self: Any) -> Any:
        with turn:
            return act(self)

    return in_its_turn


for name in ("look", "work"):  # which open files for an instant, as any thread of a program may
    setattr(Leadership, name, in_turn(getattr(Leadership, name)))
glance.IDLE_AFTER = 0.0  # a descriptor is kept of a writer that is idle, at once
lastword.init(os.environ["TEST_DSN"], spool=os.environ["TEST_SPOOL"], flusher="thread", shutdown_timeout=60)
acked(lastword.capture_message("before"))
if sys.argv[1] == "kept":
    assert lastword.flush(60)
    time.sleep(1)  # until it has looked again, and keeps a descriptor of the segment
else:
    while not any(map(is_connected, ours())):
        time.sleep(0.01)
with turn:
    before = ours()
    os.closerange(3, 256)
    theirs: dict[int, tuple[object, ...]] = {}
    ends: list[socket.socket] = []
    while not before <= set(theirs):
        ends += socket.socketpair()
        path = f"{os.environ['TEST_SPOOL']}-{len(theirs)}"
        files = [os.open(path, os.O_CREAT | os.O_RDWR)]
        os.pwrite(files[0], b"not ours", 0)
        for number in files + [end.fileno() for end in ends[-2:]]:
            theirs[number] = look(number)
acked(lastword.capture_message("after"))
assert lastword.flush(60)
time.sleep(0.5)
for number, then in theirs.items():
    assert look(number) == then, (number, then, look(number))
for end in ends:
    end.setblocking(False)
    try:
        raise SystemExit(f"{end.fileno()} was sent {end.recv(100)!r}")
    except BlockingIOError:
        pass
