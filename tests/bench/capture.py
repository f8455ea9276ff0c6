"""What reporting an exception costs its caller: lastword, its peers, and a floor below which nobody can go.

Each runs in a process of its own, and they take turns, so that what else the machine does meets all of them. All send
to one server on this machine that accepts whatever comes. The floor reads source and variables, makes JSON, and writes
it by one call; like lastword it is durable, and like nobody else it does no more than that.

An exception has ten frames of eight variables. The first call stands apart. "setting up" is importing and init,
in milliseconds of computing, and megabytes of memory.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.bench.contestant import CONTESTANTS
from tests.bench.printing import say

QUESTION = "what a capture costs its caller, beside other reporters"

#: Of the floor's median, of the fastest peer's, and of sentry-sdk's, what lastword may take.
OF_FLOOR, OF_FASTEST, OF_SENTRY = 0.75, 0.5, 0.1

#: Of the peer that takes least to be set up, the same in time and in memory: 25 of 44 ms and 6 of 14 MB were the aim.
OF_QUICKEST, OF_LEANEST = 0.57, 0.43

_MODULES = {"floor": "json", "booboo-sdk": "booboo", "sentry-sdk": "sentry_sdk"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=15, help="turns of each (%(default)s)")
    parser.add_argument("--calls", type=int, default=20, help="captures in each turn (%(default)s)")
    parser.set_defaults(measure=measure)


class Ended(Exception):
    """A contestant ended in the midst of it; some peers crash their program now and then."""


@dataclass
class Contestant:
    """One process, and what it said so far; times in microseconds."""

    name: str
    process: subprocess.Popen[str]
    setting_up: dict[str, float] = field(default_factory=dict)
    first: float = 0.0
    times: list[float] = field(default_factory=list)

    def hear(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise Ended(self.name)
        return json.loads(line)

    def capture(self, calls: int) -> list[float]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{calls}\n")
        self.process.stdin.flush()
        return [seconds * 1e6 for seconds in self.hear()]

    @property
    def p50(self) -> float:
        return statistics.median(self.times)

    def row(self, floor: float) -> str:
        p95 = sorted(self.times)[int(len(self.times) * 0.95)]
        cost = f"{self.setting_up['cpu'] * 1e3:>8.0f} ms{self.setting_up['bytes'] / 1e6:>7.1f} MB"
        return f"  {self.name:<18}{self.p50:>8.0f}{p95:>8.0f}{self.first:>9.0f}{self.p50 / floor:>10.2f}{cost}"


def measure(options: argparse.Namespace) -> bool:
    """Measure and print; whether lastword keeps within its shares of the floor and of its peers."""
    names = [name for name in CONTESTANTS if importlib.util.find_spec(_MODULES.get(name, name)) is not None]
    missing = [name for name in CONTESTANTS if name not in names]
    with tempfile.TemporaryDirectory(prefix="lastword-bench-") as place, server() as url:
        contestants = [_start(name, url, place) for name in names]
        try:
            for contestant in contestants:
                contestant.setting_up = contestant.hear()
                contestant.first = contestant.capture(1)[0]
            going_on = contestants
            for _ in range(options.rounds):
                going_on = [contestant for contestant in going_on if _takes_its_turn(contestant, options.calls)]
        finally:
            for contestant in contestants:
                contestant.process.kill()
                contestant.process.communicate()
    return _judge({contestant.name: contestant for contestant in contestants if contestant.times}, missing)


def _takes_its_turn(contestant: Contestant, calls: int) -> bool:
    """Whether it was there to do so; without the floor and lastword there is nothing to compare."""
    try:
        contestant.times += contestant.capture(calls)
        return True
    except (Ended, BrokenPipeError):
        if contestant.name in ("floor", "lastword"):
            raise
        say(f"  {contestant.name} ended with status {contestant.process.wait()} in the midst of it")
        return False


def _judge(by_name: dict[str, Contestant], missing: list[str]) -> bool:
    floor, ours = by_name["floor"].p50, by_name["lastword"].p50
    say(f"  {'µs of the caller':<18}{'p50':>8}{'p95':>8}{'first':>9}{'x floor':>10}{'setting up':>21}")
    for contestant in sorted(by_name.values(), key=lambda one: one.p50):
        say(contestant.row(floor))
    if missing:
        say(f"  not installed here, so not compared: {', '.join(missing)} (pip install 'lastword[bench]')")
    peers = {name: one.p50 for name, one in by_name.items() if name not in ("floor", "lastword")}
    shares = [("the floor", ours / floor, OF_FLOOR)]
    if peers:
        fastest = min(peers, key=peers.__getitem__)
        shares.append((f"the fastest peer ({fastest})", ours / peers[fastest], OF_FASTEST))
    if "sentry-sdk" in peers:
        shares.append(("sentry-sdk", ours / peers["sentry-sdk"], OF_SENTRY))
    if peers:
        for unit, what, limit in (("cpu", "quickest", OF_QUICKEST), ("bytes", "leanest", OF_LEANEST)):
            costs = {name: one.setting_up[unit] for name, one in by_name.items()}
            least = min(peers, key=costs.__getitem__)
            shares.append((f"the {what} to set up ({least})", costs["lastword"] / costs[least], limit))
    for what, share, limit in shares:
        say(f"  {share:.2f} of {what}, limit {limit:.2f}: {'kept' if share <= limit else 'EXCEEDED'}")
    return all(share <= limit for _, share, limit in shares)


def _start(name: str, url: str, place: str) -> Contestant:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("LASTWORD_", "BOOBOO_"))}
    directory = os.path.join(place, name)
    os.mkdir(directory)
    command = [sys.executable, "-m", "tests.bench.contestant", name, url, directory]
    pipe = subprocess.PIPE
    # What peers have to say about themselves on their standard error is not what is measured.
    process = subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env={**environment, "HOME": directory}
    )
    return Contestant(name, process)


class _AcceptEverything(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b'{"response": "ok", "_rxid": "01000000-0000-0000-0000-000000000000"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST  # noqa: N815 (the names that http.server looks for)

    def log_message(self, format: str, *_: object) -> None:
        pass


@contextlib.contextmanager
def server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _AcceptEverything)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
