"""Small real file systems, mounted for one test: an ext4 in a file, and a tmpfs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


def _mount(*arguments: object) -> None:
    try:
        subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"mounting is not allowed here: {getattr(error, 'stderr', '') or error}")


@contextmanager
def ext4(directory: Path, megabytes: int, *options: str) -> Iterator[Path]:
    """An ext4 of that size in an image beside its mount point; skips where mounting is not allowed."""
    image, place = directory / "ext4.img", directory / "ext4"
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    try:
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", *options, str(image)], check=True, capture_output=True)
    except OSError as error:
        pytest.skip(f"no ext4 can be made here: {error}")
    place.mkdir()
    _mount("-o", "loop,commit=600", image, place)  # the journal waits for an fsync, not for five seconds
    try:
        yield place
    finally:
        unmount(place)


@contextmanager
def tmpfs(directory: Path, megabytes: int) -> Iterator[Path]:
    """A tmpfs of that size; skips where mounting is not allowed."""
    place = directory / "tmpfs"
    place.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={megabytes}m", "none", place)
    try:
        yield place
    finally:
        unmount(place)


def remount_read_only(place: Path) -> None:
    _mount("-o", "remount,ro", place)


def remount_writable(place: Path) -> None:
    _mount("-o", "remount,rw", place)


def unmount(place: Path) -> None:
    """Unmount, now or as soon as the last process has left it."""
    subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)


def fill(place: Path) -> Path:
    """Take every byte that is left; returns the file that did."""
    filler = place / "filler"
    descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for size in (1 << 20, 4096, 1):
        with suppress(OSError):
            while True:
                os.write(descriptor, bytes(size))
    os.close(descriptor)
    return filler


@contextmanager
def bound(directory: Path, place: Path) -> Iterator[None]:
    """A directory seen at another place too, as a part of a volume is; skips where mounting is not allowed."""
    _mount("--bind", directory, place)
    try:
        yield
    finally:
        unmount(place)
