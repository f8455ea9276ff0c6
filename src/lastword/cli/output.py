"""The only way from here to standard output and standard error, so that nothing raw gets to a terminal.

Texts of others are one line, bounded and printable where they enter (``foreign_text``). This is the net below that, for
names of files, for what an event holds, and for whatever was forgotten: what cannot be printed is shown as an escape.
So it is for what others write to standard error while a command runs (``nothing_raw``).
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

#: Characters of a line: more than any that makes sense, paths included.
MOST_OF_LINE = 4096


class _Net(io.TextIOBase):
    """Standard error for everybody else. It is no terminal, so that nobody colours what they write."""

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
        """The stream stays open: it is others', and may be closed by now when this is collected as garbage."""


@contextmanager
def nothing_raw() -> Iterator[None]:
    """What a thread dies of, what is raised where nobody catches it, warnings and logging go to standard error by
    themselves, and may quote anybody: meanwhile all of that is shown like our own lines.
    """
    before = sys.stderr
    if before is not None:
        sys.stderr = _Net(before)
    try:
        yield
    finally:
        sys.stderr = before


def line(text: str = "", *, error: bool = False) -> None:
    """Write one line, to standard error with ``error``; the end of a line within ``text`` is shown as an escape."""
    text = text if len(text) <= MOST_OF_LINE else text[: MOST_OF_LINE - 1] + "…"
    _write(printable(text, lines=False) + "\n", error)


def lines(text: str, *, error: bool = False) -> None:
    """Write a text that may have several lines, and the end of the last one."""
    _write(printable(text) + "\n", error)


def defect(traceback: str) -> None:
    """Write the traceback of what nobody expected."""
    lines(without_secrets(traceback).rstrip(), error=True)


def as_json(value: object) -> None:
    """Write JSON, in ASCII; what cannot be printed is an escape within its texts as well."""
    _write(json.dumps(_printed(value), indent=2) + "\n", False)


def spans(pieces: Iterable[tuple[str, str]]) -> None:
    """Write pieces of text with their styles: in colour on a terminal, where rich is installed and nobody objects
    (NO_COLOR).
    """
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
    """rich's own way there, for those who draw on a terminal; they give it ``printable`` texts. Raises ImportError."""
    from rich.console import Console

    return Console(file=_stream(error), highlight=False, markup=False)


def is_terminal(*, error: bool = False) -> bool:
    """Whether standard output, or standard error, is one."""
    stream = _stream(error)
    return stream is not None and stream.isatty()


def flush() -> None:
    """Have all of standard output written. Raises BrokenPipeError where nobody reads it any more."""
    if sys.stdout is not None:
        sys.stdout.flush()


def abandon() -> None:
    """Nobody reads standard output any more: let nothing complain of that at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stream(error: bool) -> Optional[TextIO]:
    stream = sys.stderr if error else sys.stdout  # None where it was closed
    return stream.stream if isinstance(stream, _Net) else stream


def _write(text: str, error: bool) -> None:
    stream = _stream(error)
    if stream is not None:
        stream.write(_encodable(text, stream))
        if error:
            stream.flush()


def _encodable(text: str, stream: Optional[TextIO]) -> str:
    """The same with escapes for what the stream has no bytes for."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text if text.isascii() else text.encode(encoding, "backslashreplace").decode(encoding)


def _printed(value: object) -> object:
    if isinstance(value, str):
        return printable(value, lines=False).replace("\t", "\\t")
    if isinstance(value, dict):
        return {_printed(name): _printed(one) for name, one in value.items()}
    return [_printed(one) for one in value] if isinstance(value, (list, tuple)) else value
