"""The demo's display: one progress line, and one table at the end.

With rich and a terminal the line is redrawn in place; otherwise it is printed once a second.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Sequence

from lastword.cli import output
from lastword.cli.demo.outcome import Row
from lastword.foreign_text import printable


def open_screen() -> Screen:
    if output.is_terminal() and importlib.util.find_spec("rich") is not None:
        return _RichScreen()
    return Screen()


class Screen:
    """The display that the demo writes to; this one writes plain lines."""

    _INTERVAL = 1.0

    def __init__(self) -> None:
        self._last_progress = 0.0

    def say(self, text: str) -> None:
        """Write a line that stays."""
        output.lines(text)
        output.flush()

    def progress(self, text: str) -> None:
        """Replace the progress line."""
        now = time.monotonic()
        if now - self._last_progress >= self._INTERVAL:
            self._last_progress = now
            output.line(f"  {text}")
            output.flush()

    def table(self, rows: Sequence[Row]) -> None:
        """Write the table; no progress may follow."""
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        output.line()
        for name, value, remark in rows:
            output.line(f"  {name:<{widths[0]}}  {value:>{widths[1]}}  {remark}".rstrip())
        output.line()
        output.flush()

    def close(self) -> None:
        """Restore the terminal."""


class _RichScreen(Screen):
    def __init__(self) -> None:
        from rich.status import Status

        self._console = output.console()
        self._status = Status("", console=self._console)

    def say(self, text: str) -> None:
        self._console.print(printable(text))

    def progress(self, text: str) -> None:
        self._status.start()
        self._status.update(printable(text))

    def table(self, rows: Sequence[Row]) -> None:
        from rich.table import Table

        self._status.stop()
        table = Table(show_header=False)
        table.add_column()
        table.add_column(justify="right", style="bold")
        table.add_column(style="dim")
        for row in rows:
            table.add_row(*row)
        self._console.print(table)

    def close(self) -> None:
        self._status.stop()
