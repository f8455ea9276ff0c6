"""Show the progress of a command on a terminal: a bar if rich is installed, else a line every 2 seconds."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable

from lastword.cli import output

#: A function called with the number done and the total.
Tell = Callable[[int, int], None]

_INTERVAL = 2.0


@contextmanager
def shown(title: str) -> Iterator[Tell]:
    """Show progress under ``title`` on standard error, if that is a terminal."""
    if not output.is_terminal(error=True):
        yield lambda done, total: None
    elif importlib.util.find_spec("rich") is None:
        yield _Lines(title).tell
    else:
        with _bar(title) as tell:
            yield tell


class _Lines:
    def __init__(self, title: str) -> None:
        self._title = title
        self._told_at = time.monotonic()

    def tell(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._told_at >= _INTERVAL:
            self._told_at = now
            output.line(f"{self._title}: {done} of {total}", error=True)


@contextmanager
def _bar(title: str) -> Iterator[Tell]:
    from rich.progress import Progress

    with Progress(console=output.console(error=True), transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
