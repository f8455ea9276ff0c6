"""Destination files: the destinations that records name in ``to``, kept so that any later flusher can send the records.

``destinations/<key>.json`` is ``Destination.encode()``; the key is part of the content's own SHA-256. So a file is
written once, by the first process that needs it, and never changed; a process that finds it damaged writes it again.
"""

from __future__ import annotations

import os

from lastword.dsn import Destination
from lastword.errors import ConfigError
from lastword.event import new_id
from lastword.foreign_text import one_line
from lastword.interruption import failures
from lastword.spool import inside
from lastword.spool.layout import Layout, move_away, read_small_file, write_whole_file

_MOST_KEY = 40  # characters; our keys have 12


def store(layout: Layout, destination: Destination) -> None:
    """Write the file of ``destination`` unless it is there and whole; raises OSError."""
    path, content = layout.destination(destination.key), destination.encode()
    try:
        if read_small_file(path) == content:
            return
    except failures(OSError):  # missing, or not a file of ours
        if inside.is_directory(path):
            move_away(path)
    write_whole_file(path, content, by=f".{new_id()}")


def load(layout: Layout, key: str) -> Destination:
    """Read the destination named ``key``; raises ConfigError if it is missing, damaged or has another key."""
    path, key_told = layout.destination(os.path.basename(key)), one_line(key, _MOST_KEY)
    try:
        destination = Destination.decode(read_small_file(path))
    except failures(OSError, ConfigError, RecursionError) as error:
        raise ConfigError(f"the destination {key_told} cannot be read: {error}") from None
    if destination.key != key:
        raise ConfigError(f"the destination {key_told} was changed: its content is that of {destination.key}")
    return destination
