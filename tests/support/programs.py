"""Programs under test: real processes with lastword set up, that acknowledge what they captured."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Callable

from lastword.audit.accounts import Accounts, read_accounts
from lastword.spool.layout import Layout
from lastword.spool.lock import holder
from lastword.spool.reader import read_lines
from lastword.spool.record import Record, parse

#: Programs of more than some 25 lines are files there, linted and typed like everything else.
PROGRAMS = Path(__file__).parents[1] / "programs"

#: What shorter programs, which tests have as texts, begin with.
PRELUDE = Path(__file__).with_name("prelude.py").read_text("utf-8")

PATIENCE = 20.0


class Program:
    """A script that was started: a text that continues ``PRELUDE``, or a whole one of ``PROGRAMS``, with arguments.

    Leave the ``with`` block and it is gone.
    """

    def __init__(self, body: str | Path, *arguments: object, spool: Path, dsn: str | None) -> None:
        environment = {**os.environ, "TEST_SPOOL": str(spool)}
        if dsn is not None:
            environment["TEST_DSN"] = dsn
        text = body.read_text("utf-8") if isinstance(body, Path) else PRELUDE + body
        self.process = subprocess.Popen(
            [sys.executable, "-c", text, *map(str, arguments)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:  # a child of the program may still hold the other end
                with suppress(BrokenPipeError):
                    stream.close()
        self.process.wait()

    def line(self) -> str:
        """The next line that the program writes."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        return line.strip()

    def tell(self, text: str) -> None:
        """Give it a line to read."""
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def end(self, patience: float = 60.0) -> list[str]:
        """Let its standard input end, wait for it, and return the rest of what it acknowledged."""
        told, trouble = self.process.communicate(timeout=patience)
        assert "Traceback" not in trouble, trouble
        return told.split()


def run(body: str | Path, *arguments: object, spool: Path, dsn: str | None = None, patience: float = 60.0) -> list[str]:
    """Run a program to its end, whatever that is; returns the lines it wrote: acknowledged event ids."""
    with Program(body, *arguments, spool=spool, dsn=dsn) as program:
        return program.end(patience)


def recorded(spool: Path) -> list[Record]:
    """All records in a spool that nobody sends from; fails if any line is no record."""
    found = []
    for segment in sorted(spool.glob("v1/writers/*/*.seg")):
        for line in read_lines(str(segment), 0, finished=True, parse=parse):
            assert isinstance(line.found, Record), (segment, line)
            found.append(line.found)
    return found


def recorded_ids(spool: Path) -> list[str]:
    """Their ids."""
    return [record.id for record in recorded(spool)]


def wait_until(condition: Callable[[], object], what: str, timeout: float = PATIENCE) -> None:
    """Wait for a condition; fails, naming ``what`` did not come, after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        asked = time.monotonic()
        if condition():
            return
        assert asked < deadline, f"waited {timeout:.0f} s in vain for: {what}"
        time.sleep(max(0.01, 5 * (time.monotonic() - asked)))  # what is waited for needs the processor as well


def wait_while(
    getting_on: Callable[[], object], condition: Callable[[], object], what: str, patience: float = 60.0
) -> None:
    """Wait for a condition as long as it takes, if what ``getting_on`` returns changes: on a busy machine it may take
    long. Fails, naming ``what`` did not come, after ``patience`` seconds without a change.
    """
    seen, deadline = getting_on(), time.monotonic() + patience
    while not condition():
        if seen != getting_on():
            seen, deadline = getting_on(), time.monotonic() + patience
        assert time.monotonic() < deadline, f"{seen!r} has not changed for {patience:.0f} s; missing: {what}"
        time.sleep(0.05)


def wait_for_accounts(
    spool: Path, condition: Callable[[Accounts], object], what: str, timeout: float = PATIENCE
) -> Accounts:
    """Wait until the accounts of a spool are as wanted; returns them."""
    seen = Accounts()

    def as_wanted() -> object:
        nonlocal seen
        seen = read_accounts(spool)
        return condition(seen)

    try:
        wait_until(as_wanted, what, timeout)
    except AssertionError as error:
        raise AssertionError(f"{error}; last seen: {seen}") from None
    return seen


def wait_until_no_flusher(spool: Path, timeout: float = PATIENCE) -> None:
    """Wait until the flusher has left by itself, its last checkpoint made."""
    wait_until(lambda: holder(Layout(str(spool)).flusher_lock) is None, "the flusher's leaving", timeout)


def remove_spool(spool: Path) -> None:
    """What `rm -rf` does, as often as it takes: a flusher at work may make a file between two of its steps."""
    wait_until(
        lambda: subprocess.run(["rm", "-rf", str(spool)], capture_output=True).returncode == 0, "rm -rf to succeed"
    )


@contextmanager
def removed_afterwards(spool: Path) -> Iterator[Path]:
    """Remove the spool at the end, whatever happened, and wait for its flusher, which would stay until its next try."""
    try:
        yield spool
    finally:
        remove_spool(spool)
        wait_until_no_flusher(spool)
