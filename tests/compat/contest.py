"""The same program with the original package and with the drop-in, and what arrives of each at a tracker."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from lastword.testing import LoopbackTracker

DROP_IN = "import lastword.compat.booboo as booboo"
ORIGINAL = "import booboo"

#: Every program begins like this; ``dsn()`` is what booboo's page shows.
PRELUDE = """\
{package}
import json, os, sys, threading, time

def dsn():
    return os.environ["TRACKER"]

"""


@dataclass(frozen=True)
class Outcome:
    """What came of one run.

    Attributes:
        events: the bodies that arrived, handshakes apart, each with all that runs differ in made equal.
        raw: the same bodies as they came.
        handshakes: the other bodies.
        status: of the process.
        output, trouble: what it wrote.
    """

    events: list[dict[str, Any]]
    raw: list[bytes]
    handshakes: list[bytes]
    headers: list[Mapping[str, str]]
    status: int
    output: str
    trouble: str

    @property
    def messages(self) -> list[str]:
        return sorted(str(event.get("message", "")) for event in self.events)

    def in_order(self) -> list[dict[str, Any]]:
        """The events by what they are about, for lastword sends several at a time."""
        return sorted(self.events, key=about)


def run_with(
    package: str,
    body: str,
    directory: Path,
    *,
    wait_for: int = 0,
    environment: Optional[Mapping[str, str]] = None,
    files: Optional[Mapping[str, str]] = None,
    tracker_does: Optional[Any] = None,
) -> Outcome:
    """Run ``body`` as a program of ``directory``, which is made; give ``wait_for`` events time to arrive after its end.

    It continues ``PRELUDE``, unless it is a whole program that imports booboo itself, as those in tests/programs.
    ``files`` stand beside the program; ``tracker_does`` is called with the tracker before the program starts.
    """
    directory.mkdir()
    program = body if ORIGINAL in body.splitlines() else PRELUDE.format(package=package) + body
    for name, text in {**(files or {}), "program.py": program}.items():
        (directory / name).write_text(text.replace(ORIGINAL + "\n", package + "\n"))
    with LoopbackTracker() as tracker:
        if tracker_does is not None:
            tracker_does(tracker)
        environ = {**os.environ, "TRACKER": tracker.dsn.partition("+")[2], **(environment or {})}
        environ["LASTWORD_SPOOL"] = str(directory / "spool")
        done = subprocess.run(
            [sys.executable, "program.py"], cwd=directory, env=environ, capture_output=True, text=True, timeout=90
        )
        events = tracker.wait_for(wait_for, timeout=30)
        handshakes = [request.raw for request in tracker.requests if request.stored is False and request.status == 202]
    return Outcome(
        events=[comparable(event.body or {}, directory) for event in events],
        raw=[event.raw for event in events],
        handshakes=handshakes,
        headers=[event.headers for event in events],
        status=done.returncode,
        output=done.stdout,
        trouble=done.stderr.replace(str(directory), "/app"),
    )


def run_both(body: str, directory: Path, *, wait_for: int = 0, **options: Any) -> tuple[Outcome, Outcome]:
    """(the original's outcome, the drop-in's); for the latter, as many events are waited for as the former sent."""
    theirs = run_with(ORIGINAL, body, directory / "theirs", **options)
    ours = run_with(DROP_IN, body, directory / "ours", wait_for=wait_for or len(theirs.events), **options)
    return theirs, ours


def about(event: Mapping[str, Any]) -> str:
    """What an event is about: the same for the original's and ours, and different from all others of a program."""
    user = (event.get("context") or {}).get("user")
    functions = [frame["function"] for stack in stacks_of(event) for frame in stack]
    return json.dumps([event.get("message"), event.get("exception_type"), functions, user])


_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")

#: Both are sent by somebody; and a module's frame shows which module was imported.
_WHO_SENDS = {"name": "sdk", "version": "0"}


def comparable(event: dict[str, Any], directory: Path) -> dict[str, Any]:
    """``event`` with addresses, the directory and the name of the sender made equal."""
    text = _ADDRESS.sub("0xADDRESS", json.dumps(event)).replace(str(directory), "/app")
    equal: dict[str, Any] = json.loads(text)
    if isinstance(equal.get("context"), dict) and "sdk" in equal["context"]:
        equal["context"]["sdk"] = _WHO_SENDS
    for stack in stacks_of(equal):
        for frame in stack:
            frame["vars"].pop("booboo", None)
            if frame["function"] == "<module>":
                frame["pre_context"] = [line.replace(DROP_IN, ORIGINAL) for line in frame["pre_context"]]
    return equal


def stacks_of(event: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    """Of the event itself and of each exception of its chain."""
    return [event.get("stacktrace") or [], *(one["stacktrace"] for one in event.get("exceptions") or [])]
