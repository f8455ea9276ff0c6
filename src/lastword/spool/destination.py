"""Destination files: what a record's ``to`` names, kept beside the records so that any later flusher can send them.

``destinations/<key>.json`` is ``Destination.encode()``; the key is part of the content's own SHA-256, so a file is
written once, by whoever needs it first, and never changed; who finds it damaged writes it again.
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

_MOST_KEY = 40  # characters; one of ours has 12


def store(layout: Layout, destination: Destination) -> None:
    """Write the file of ``destination`` unless it is there and whole; raises OSError."""
    path, content = layout.destination(destination.key), destination.encode()
    try:
        if read_small_file(path) == content:
            return
    except failures(OSError):  # there is none, or something that is none
        if inside.is_directory(path):
            move_away(path)
    write_whole_file(path, content, by=f".{new_id()}")


def load(layout: Layout, key: str) -> Destination:
    """Read the destination named ``key``; raises ConfigError when it is missing, damaged or not what its name says."""
    path, key_told = layout.destination(os.path.basename(key)), one_line(key, _MOST_KEY)
    try:
        destination = Destination.decode(read_small_file(path))
    except failures(OSError, ConfigError, RecursionError) as error:
        raise ConfigError(f"the destination {key_told} cannot be read: {error}") from None
    if destination.key != key:
        raise ConfigError(f"the destination {key_told} was changed: its content is that of {destination.key}")
    return destination
