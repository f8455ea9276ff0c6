"""Damage to bytes on disk, and the reckoning of what it touched."""

from __future__ import annotations

import os
import random
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Callable

Change = Callable[[bytes, int], bytes]
CHANGES: dict[str, tuple[int, Change]] = {  # how many bytes each takes away, and how
    "flipped": (1, lambda content, place: content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]),
    "inserted": (0, lambda content, place: content[:place] + b"\n" + content[place:]),
    "deleted": (1, lambda content, place: content[:place] + content[place + 1 :]),
    "overwritten": (40, lambda content, place: content[:place] + bytes(40) + content[place + 40 :]),
    "truncated": (1 << 30, lambda content, place: content[:place]),
}

#: What may stand where a file should be: see ``spoil``.
WAYS = ["garbage", "nested garbage", "empty", "removed", "a directory", "a FIFO", "a link", "a terabyte"]


def spoil(path: Path, how: str) -> None:
    """Make of a file what it should not be."""
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    if how == "garbage":
        path.write_bytes(bytes(range(256)) * 40)
    elif how == "nested garbage":
        path.write_bytes(b"[" * 200_000)
    elif how == "empty":
        path.touch()
    elif how == "a directory":
        path.mkdir()
    elif how == "a FIFO":
        os.mkfifo(path)
    elif how == "a link":
        path.symlink_to("/etc/hostname")
    elif how == "a terabyte":
        path.touch()
        os.truncate(path, 1 << 40)
    else:
        assert how == "removed"


_NOBODY = -1


class Victim:
    """Lines that are changed again and again, as bytes.

    Attributes:
        content: what has become of them.
        touched: the numbers, from 0, of the lines that lost or changed a byte, or got another one inside.
        bytes_changed: how many bytes were flipped, inserted or taken away.
    """

    def __init__(self, lines: Sequence[bytes]) -> None:
        self.content = bytearray(b"".join(lines))
        self.touched: set[int] = set()
        self.bytes_changed = 0
        self._owners = array("l", [number for number, line in enumerate(lines) for _ in line])

    def flip(self, place: int, mask: int) -> None:
        """Change the bits of ``mask``, 1 to 255, in the byte at ``place``."""
        self._touch(place, place + 1)
        self.content[place] ^= mask
        self.bytes_changed += 1

    def insert(self, place: int, new: bytes) -> None:
        if place and self._owners[place - 1 : place] == self._owners[place : place + 1]:
            self._touch(place, place + 1)
        self.content[place:place] = new
        self._owners[place:place] = array("l", [_NOBODY]) * len(new)
        self.bytes_changed += len(new)

    def delete(self, place: int, length: int) -> None:
        end = min(place + length, len(self.content))
        self._touch(place, end)
        del self.content[place:end], self._owners[place:end]
        self.bytes_changed += end - place

    def cut(self, place: int) -> None:
        self.delete(place, len(self.content))

    def change_at_random(self, chance: random.Random, begin: int = 0) -> None:
        """One change of any kind at or behind ``begin``; nothing where there is nothing."""
        if begin >= len(self.content):
            return
        place, length = chance.randrange(begin, len(self.content)), chance.randint(1, 40)
        kind = chance.choice(["flip"] * 5 + ["insert", "delete", "delete much", "cut"])
        if kind == "flip":
            self.flip(place, chance.randint(1, 255))
        elif kind == "insert":
            self.insert(place, chance.randbytes(length))
        elif kind == "cut":
            self.cut(place)
        else:
            self.delete(place, length if kind == "delete" else length * 100)

    def _touch(self, begin: int, end: int) -> None:
        self.touched.update(self._owners[begin:end])
        self.touched.discard(_NOBODY)
