"""How fast a flusher sends what is held: against a loop that posts the same bodies, ready-made, with ``requests``.

The loop is what anybody would write: a ``requests.Session`` in each of as many threads as the flusher has. Both post to
one server, in a process of its own that does nothing but answer; it says when the first body came, and the last. The
flusher reads, checks, renders, settles, writes its ledger and removes segments meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lastword.audit.accounts import read_accounts
from lastword.dsn import Destination, Dsn
from lastword.event import new_id
from lastword.flusher.outbox import PARALLEL
from lastword.spool.layout import Layout
from lastword.spool.record import encode_event
from lastword.spool.writer import Writer
from lastword.wire import booboo
from tests.bench.printing import say
from tests.support.events import message_event
from tests.support.programs import PROGRAMS

QUESTION = "how fast a flusher sends a backlog, against a plain loop of posts"

#: The flusher's rate is at least this share of the loop's, in at most so many megabytes.
LEAST_SHARE = 0.8
MOST_MEMORY = 80.0

#: Events of one writer, so that they come from several.
_EACH = 2_500

#: Its own memory at its largest, in MB, and the seconds that it computed. (The kernel's ``ru_maxrss`` counts what was
#: there before the exec.)
_FIGURES = """
import resource
used = resource.getrusage(resource.RUSAGE_SELF)
kilobytes = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0]
print(int(kilobytes) / 1024, used.ru_utime + used.ru_stime)
"""

_FLUSHER = """
import sys
from lastword.flusher.loop import Flusher
from lastword.spool.layout import Layout
Flusher(Layout(sys.argv[1])).run()
"""

_LOOP = """
import json, sys, threading
import requests
url, headers, path, threads = json.loads(sys.argv[1])
bodies = open(path, "rb").read().split(b"\\n")
def post(mine):
    with requests.Session() as session:
        for body in mine:
            session.post(url, data=body, headers=headers, timeout=10)
workers = [threading.Thread(target=post, args=(bodies[number::threads],)) for number in range(threads)]
for worker in workers: worker.start()
for worker in workers: worker.join()
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", type=int, default=20_000, help="how many are held (%(default)s)")
    parser.add_argument("--size", type=int, default=10_000, help="bytes of each, about (%(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each; the best one counts (%(default)s)")
    parser.set_defaults(measure=measure)


@dataclass(frozen=True)
class Run:
    """What one turn came to."""

    seconds: float
    megabytes: float
    computed: float

    def row(self, name: str, events: int) -> str:
        rate, each = events / self.seconds, self.computed / events * 1000
        return f"  {name:<22} {rate:6.0f} events/s, computing {each:5.2f} ms for each, {self.megabytes:5.1f} MB"


def measure(options: argparse.Namespace) -> bool:
    """Measure and print; whether rate and memory are within their limits."""
    loops, flushers = [], []
    for _ in range(options.rounds):
        loops.append(_loop(options))
        flushers.append(_flusher(options))
    loop, flusher = (min(runs, key=lambda run: run.seconds) for runs in (loops, flushers))
    memory = max(run.megabytes for run in flushers)
    share = loop.seconds / flusher.seconds
    say(f"{options.events} events of {options.size} bytes, {PARALLEL} requests at a time; best of {options.rounds}")
    say(loop.row("requests.Session loop", options.events))
    say(flusher.row("flusher", options.events))
    kept = share >= LEAST_SHARE and memory <= MOST_MEMORY
    limits = f"limits {LEAST_SHARE:.0%} and {MOST_MEMORY:.0f} MB"
    say(f"  {share:.0%} of the loop's rate, {memory:.1f} MB; {limits}: {'kept' if kept else 'EXCEEDED'}")
    return kept


def _event(options: argparse.Namespace, number: int) -> Any:
    event = message_event(f"held {number}", tags={"ballast": "x" * max(options.size - 1_000, 0)})
    event["id"] = new_id()
    event["timestamp"] += number / 1000
    return event


def _loop(options: argparse.Namespace) -> Run:
    with tempfile.TemporaryDirectory(prefix="lastword-bench-") as place, _server(options.events) as (server, port):
        to = Destination(Dsn.parse(f"booboo+http://token@127.0.0.1:{port}/o/p"), 10.0)
        request = booboo.request(_event(options, 0), to)
        path = Path(place) / "bodies"
        path.write_bytes(b"\n".join(booboo.request(_event(options, n), to).body for n in range(options.events)))
        told = json.dumps([request.url, dict(request.headers), str(path), PARALLEL])
        return _run(server, _LOOP, told)


def _flusher(options: argparse.Namespace) -> Run:
    with tempfile.TemporaryDirectory(prefix="lastword-bench-") as place, _server(options.events) as (server, port):
        to = Destination(Dsn.parse(f"booboo+http://token@127.0.0.1:{port}/o/p"), 10.0)
        layout = Layout(place + "/spool")
        layout.prepare()
        for start in range(0, options.events, _EACH):
            writer = Writer.born(layout)
            for number in range(start, min(start + _EACH, options.events)):
                event = _event(options, number)
                writer.append(encode_event(event["id"], to.key, event), to)
            writer.abandon()
            (Path(layout.writer(writer.id)) / "who.json").write_text("{}")
        run = _run(server, _FLUSHER, layout.spool)
        accounts = read_accounts(layout.spool)
        assert (accounts.delivered, accounts.held, accounts.missing) == (options.events, 0, 0), accounts
        return run


@contextmanager
def _server(count: int) -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [sys.executable, str(PROGRAMS / "answering_server.py"), str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server, int(server.stdout.readline())
        finally:
            server.kill()


def _run(server: subprocess.Popen[str], program: str, argument: str) -> Run:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LASTWORD_")}
    command = [sys.executable, "-c", program + _FIGURES, argument]
    ended = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    megabytes, computed = map(float, ended.stdout.split())
    return Run(float(server.stdout.readline()), megabytes, computed)
