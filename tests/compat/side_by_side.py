"""One program, run with the package that lastword replaces and with its drop-in, and what the tracker got of each."""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lastword.testing import LoopbackTracker, Received
from tests.support.programs import wait_until
from tests.wire.comparable import MACHINE_ATTRIBUTES

TOKEN = "TOKEN"
ORIGINAL, DROP_IN = "backtracepython", "lastword.compat.backtracepython"
PACKAGES = (ORIGINAL, DROP_IN)

#: Each program begins like this; ``bt`` is the package under test.
PRELUDE = """\
import importlib, os, sys, threading, time
bt = importlib.import_module(os.environ["PACKAGE"])
client = importlib.import_module(os.environ["PACKAGE"] + ".client")
URL = os.environ["URL"]
def initialize(**options):
    bt.initialize(**{"endpoint": URL, "token": "TOKEN", "exit_timeout": 30, "timeout": 30, **options})
class reporting:
    def __init__(self, **said):
        self.said = said
    def __enter__(self):
        pass
    def __exit__(self, *error):
        bt.send_last_exception(**self.said)
        return True
"""


@dataclass(frozen=True)
class Outcome:
    """What came of one run: what the tracker was sent, and how the program ended."""

    reports: list[Received]
    status: int
    stdout: str
    stderr: str

    @property
    def messages(self) -> list[str]:
        return sorted(report.message for report in self.reports)


def end_in_an_outage(tracker: LoopbackTracker, process: subprocess.Popen[str]) -> None:
    """For ``run_with(during=…)``: tell the program to go on while nobody listens; somebody does when it has ended."""
    assert process.stdin is not None
    tracker.go_down()
    process.stdin.write("\n")
    process.stdin.flush()
    process.wait(60)
    tracker.come_up()


def run_with(
    package: str,
    program: str,
    folder: Path,
    *,
    reports: int | None = None,
    environment: dict[str, str] | None = None,
    python_options: tuple[str, ...] = (),
    during: Callable[[LoopbackTracker, subprocess.Popen[str]], None] | None = None,
    still_pending: Callable[[], bool] = bool,
) -> Outcome:
    """Run ``program`` in ``folder`` with ``package``.

    ``reports``: so many of the drop-in's are waited for; None: what has come when the program has ended, and nothing is
    ``still_pending``. ``during``: what is done to the tracker, or to the program, while it runs.
    """
    folder.mkdir(exist_ok=True)
    (folder / "program.py").write_text(PRELUDE + program)
    with LoopbackTracker("backtrace", token=TOKEN) as tracker:
        process = subprocess.Popen(
            [sys.executable, *python_options, "program.py"],
            cwd=folder,
            env={
                **os.environ,
                "PACKAGE": package,
                "URL": f"http://127.0.0.1:{tracker.port}",
                "LASTWORD_SPOOL": str(folder.parent / f"spool-{folder.name}"),
                **(environment or {}),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if during is not None:
            during(tracker, process)
        stdout, stderr = process.communicate(timeout=90)
        if reports is not None and package == DROP_IN:
            tracker.wait_for(reports, timeout=30)
        wait_until(lambda: not still_pending(), "an end of what is pending", timeout=30)
        return Outcome(list(tracker.requests), process.returncode, stdout, stderr)


def comparable(report: Received) -> dict[str, Any]:
    """A report without what differs between two runs of one program, and without the original's own thread."""
    assert report.body is not None, report.why
    body: dict[str, Any] = copy.deepcopy(dict(report.body))
    for name in ("uuid", "timestamp", "agentVersion"):
        body[name] = type(body[name]).__name__
    attributes = body["attributes"]
    for name in (MACHINE_ATTRIBUTES - {"backtrace.agent"}) & attributes.keys():
        attributes[name] = type(attributes[name]).__name__
    for name, value in attributes.items():
        if name.partition(".")[0] in ("process", "system", "vm", "descriptor", "sched"):
            attributes[name] = type(value).__name__
    names = {ident: thread["name"] for ident, thread in body["threads"].items()}
    body["mainThread"] = names[body["mainThread"]]
    body["threads"] = {
        names[ident]: thread for ident, thread in body["threads"].items() if "(_worker)" not in names[ident]
    }
    for thread in body["threads"].values():
        if not thread["fault"]:  # it went on meanwhile
            thread["stack"] = [
                (call["library"], call["funcName"]) for call in thread["stack"] if _is_the_programs(call)
            ]
    for line in body["annotations"].get("Log", ()):
        line["ts"] = type(line["ts"]).__name__
    files = {os.path.basename(name): content for name, content in report.attachments.items()}
    return {
        "path": report.path,
        "headers": sorted(report.headers),
        "parts": [_without_directory(head.decode()) for head in _PART.findall(report.raw)],
        "body": body,
        "attachments": list(files.items()),
    }


#: What a part of the form says before its content.
_PART = re.compile(rb"\r\n(Content-Disposition: .*?)\r\n\r\n", re.DOTALL)


def _without_directory(head: str) -> str:
    return re.sub('filename=".*/', 'filename="', head)


def _is_the_programs(call: dict[str, Any]) -> bool:
    return str(call["library"]).endswith("/program.py")


def in_order(outcome: Outcome) -> list[dict[str, Any]]:
    """The reports, comparable, in the order of their messages: two may be on their way at the same time."""
    reports = [comparable(report) for report in outcome.reports]
    return sorted(reports, key=lambda report: (str(report["body"]["attributes"].get("error.message")), str(report)))
