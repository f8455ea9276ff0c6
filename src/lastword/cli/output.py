"""Write to standard output and standard error. All commands write through this module: no raw text reaches a terminal.

Text from outside is made printable, bounded and one line long where it enters (``foreign_text``). This module is the
safety net below that, for file names, event contents and text that was missed there: it shows unprintable characters as
escapes. ``nothing_raw`` does the same to everything that other code writes to standard error while a command runs.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Optional, TextIO

from lastword.foreign_text import printable, without_secrets

#: The longest line, in characters: longer than any useful one, paths included.
MOST_OF_LINE = 4096


class _Net(io.TextIOBase):
    """Standard error for all other code. It does not claim to be a terminal, so that code writes no colours."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.stream.encoding

    def write(self, text: str) -> int:
        self.stream.write(_encodable(printable(without_secrets(text)), self.stream))
        return len(text)

    def flush(self) -> None:
        self.stream.flush()

    def close(self) -> None:
        """Leave the stream open: it is not ours, and may already be closed when this object is garbage-collected."""


@contextmanager
def nothing_raw() -> Iterator[None]:
    """Make everything written to ``sys.stderr`` printable within the block, as our own lines are.

    Uncaught exceptions, warnings and logging reach standard error without this module, and may quote foreign text.
    """
    before = sys.stderr
    if before is not None:
        sys.stderr = _Net(before)
    try:
        yield
    finally:
        sys.stderr = before


def line(text: str = "", *, error: bool = False) -> None:
    """Write one line, to standard error with ``error``; line ends within ``text`` are shown as escapes."""
    text = text if len(text) <= MOST_OF_LINE else text[: MOST_OF_LINE - 1] + "…"
    _write(printable(text, lines=False) + "\n", error)


def lines(text: str, *, error: bool = False) -> None:
    """Write a text of one or more lines, and a final line end."""
    _write(printable(text) + "\n", error)


def as_json(value: object) -> None:
    """Write JSON in ASCII; unprintable characters are escapes within its strings, too."""
    _write(json.dumps(_printed(value), indent=2) + "\n", False)


def spans(pieces: Iterable[tuple[str, str]]) -> None:
    """Write pieces of text with their styles: in colour on a terminal if rich is installed and NO_COLOR is not set."""
    shown = ((_encodable(printable(text), sys.stdout), style) for text, style in pieces)
    if is_terminal() and not os.environ.get("NO_COLOR"):
        try:
            from rich.text import Text

            terminal = console()
        except ImportError:
            pass
        else:
            terminal.print(Text.assemble(*shown), end="", soft_wrap=True)
            return
    for text, _ in shown:
        sys.stdout.write(text)


def console(*, error: bool = False) -> Any:
    """Return a rich Console for drawing on a terminal; callers pass it ``printable`` text only. Raises ImportError."""
    from rich.console import Console

    return Console(file=_stream(error), highlight=False, markup=False)


def is_terminal(*, error: bool = False) -> bool:
    """Return whether standard output (with ``error``: standard error) is a terminal."""
    stream = _stream(error)
    return stream is not None and stream.isatty()


def flush() -> None:
    """Flush standard output. Raises BrokenPipeError if its reader is gone."""
    if sys.stdout is not None:
        sys.stdout.flush()


def abandon() -> None:
    """Discard standard output, whose reader is gone, so that the flush at exit raises nothing."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stream(error: bool) -> Optional[TextIO]:
    stream = sys.stderr if error else sys.stdout  # None if it was closed
    return stream.stream if isinstance(stream, _Net) else stream


def _write(text: str, error: bool) -> None:
    stream = _stream(error)
    if stream is not None:
        stream.write(_encodable(text, stream))
        if error:
            stream.flush()


def _encodable(text: str, stream: Optional[TextIO]) -> str:
    """Return ``text`` with escapes for characters that the stream's encoding lacks."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text if text.isascii() else text.encode(encoding, "backslashreplace").decode(encoding)


def _printed(value: object) -> object:
    if isinstance(value, str):
        return printable(value, lines=False).replace("\t", "\\t")
    if isinstance(value, dict):
        return {_printed(name): _printed(one) for name, one in value.items()}
    return [_printed(one) for one in value] if isinstance(value, (list, tuple)) else value
