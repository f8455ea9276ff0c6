"""No ``except`` clause of a capture, or of ``flush``, takes what a signal handler raises for an error of its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import lastword
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.FAILURES,
    "No `except` clause of the write half swallows a time limit",
    broken_by="`except FileNotFoundError` in the writer, `except TypeError` in `reported`",
)

SOURCE = Path(lastword.__file__).parent
WRITE_HALF = ("capture", "scrub", "admission", "integrations", "compat", "launch", "flusher", "*.py", "spool/writer.py")

#: What handlers and time limits do not raise, or what is meant for whoever waits for the end of the program.
OWN = frozenset(
    (
        *("RecursionError", "ImportError", "StopAsyncIteration", "GeneratorExit", "ChildProcessError"),
        "KeyboardInterrupt",
        "Empty",
        *("Misfit", "RecordRefused", "SpoolError", "WriterLost", "ConfigError", "_NoRoom", "_Here"),
    )
)

#: Where the program's own exception is meant, or the thread is about to end anyway.
MEANT = frozenset(
    (
        *("integrations/asgi.py", "integrations/child_processes.py", "hooks/catch.py", "hooks/excepthooks.py"),
        *(
            "compat/backtracepython/client.py",
            "transport/http_sender.py",
            "transport/timely_connections.py",
            "dsn.py",
            "config.py",
            "options.py",
        ),
        "flusher/daemon.py",  # it has a process of its own
        *("interruption.py", "__init__.py", "compat/at_start/sitecustomize.py", "compat/aliases.py"),
    )
)


def handlers() -> Iterator[tuple[str, ast.ExceptHandler]]:
    for place in WRITE_HALF:
        files = SOURCE.glob(place) if "." in place else (SOURCE / place).rglob("*.py")
        for file in sorted(files):
            name = file.relative_to(SOURCE).as_posix()
            if name not in MEANT:
                for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                    if isinstance(node, ast.ExceptHandler):
                        yield name, node


def names_of(caught: ast.expr | None) -> list[str]:
    if isinstance(caught, ast.Tuple):
        return [name for part in caught.elts for name in names_of(part)]
    return [caught.id if isinstance(caught, ast.Name) else "" if caught is None else ast.unparse(caught)]


def test_each_clause_names_what_it_catches_by_failures_or_anything() -> None:
    """Or raises it on, or catches what is lastword's own."""
    found = []
    for file, handler in handlers():
        if any(isinstance(node, ast.Raise) and node.exc is None for node in ast.walk(handler)):
            continue
        strange = [name for name in names_of(handler.type) if name not in OWN]
        strange = [name for name in strange if not name.startswith(("failures(", "anything("))]
        found += [f"{file}:{handler.lineno}: except {name}" for name in strange]
    assert not found, "\n".join(found)
