"""Show the progress of a command on a terminal: a bar if rich is installed, else a line every 2 seconds."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable

from lastword.cli import output

#: A function called with the number done and the total.
Show = Callable[[int, int], None]

_INTERVAL = 2.0


@contextmanager
def shown(title: str) -> Iterator[Show]:
    """Show progress under ``title`` on standard error, if that is a terminal."""
    if not output.is_terminal(error=True):
        yield lambda done, total: None
    elif importlib.util.find_spec("rich") is None:
        yield _Lines(title).show
    else:
        from rich.progress import Progress

        with Progress(console=output.console(error=True), transient=True) as progress:
            task = progress.add_task(title, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)


class _Lines:
    def __init__(self, title: str) -> None:
        self._title = title
        self._shown_at = time.monotonic()

    def show(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._shown_at >= _INTERVAL:
            self._shown_at = now
            output.line(f"{self._title}: {done} of {total}", error=True)
