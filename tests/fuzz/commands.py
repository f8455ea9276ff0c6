"""The command line, over spools that lastword has made and somebody has tampered with since."""

from __future__ import annotations

import io
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any, Union

from hypothesis import strategies as st

from lastword import cli
from lastword.spool import orders, redirects
from lastword.spool.layout import Layout
from tests.fuzz.formats import reframed
from tests.fuzz.harness import Failure, Target
from tests.fuzz.liar import OK, Liar
from tests.fuzz.mutations import DIRTY, LARGEST, mutated
from tests.fuzz.world import World
from tests.support.spools import Process, impatient_flushers

REFUSED = b"HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\nnot this one"

#: Each is tried on every input, in this order: the last one changes the spool.
COMMANDS = (
    ("status",),
    ("status", "--json"),
    ("doctor",),
    ("ls",),
    ("ls", "--set-aside"),
    ("show", "ID"),
    ("flush", "--timeout", "3"),
)

#: Characters that a command prints at most.
MOST_PRINTED = 8 << 20

PROGRAM = """
import os, sys, lastword
lastword.init(os.environ["TEST_DSN"] or None, spool=sys.argv[1], flusher="hold")
lastword.set_user({"id": "42"})
lastword.set_tag("queue", "mail")
lastword.add_breadcrumb("cache miss")
lastword.add_attachment(data=b"cart", name="cart.json")
def pay(amount):
    try:
        return {}["card"]
    except KeyError as error:
        raise ValueError(amount) from error
try:
    pay(12)
except ValueError:
    lastword.capture_exception()
for message in sys.argv[2:]:
    lastword.capture_message(message)
os._exit(1)
"""

#: What of the spool the good events depend on: a flusher leads by its locks.
_VITAL = ("", "writers", "destinations", "flusher.lock", "start.lock")

_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{12}(?=\.json)|\d{20}")

KINDS = (
    *("gone", "empty", "a directory", "a FIFO", "a socket", "a terabyte", "deep"),
    *("link to a file", "link to a directory", "link to /dev/zero", "link to nothing", "link to itself"),
)
NAMES = (
    *(
        f"{DIRTY.replace('/', '')}.damaged",
        f"{DIRTY.replace('/', '')}.record",
        "\udcff\udcfe.record",
        "x" * 240 + ".seg",
    ),
    *("000000.seg", "9" * 40 + ".seg", "x-.seg", f"d-000001-0-{'a' * 32}.seg", "x-\x1b[31m.seg", "\u0661.seg"),
    *("a.json", "\x1b[31m.json", f"{'9' * 20}-{'a' * 32}.json", "a.done", "a.aside", "a.moved", "0" * 32, ".."),
)


def target(world: World, stack: ExitStack) -> Target:
    """Tampered spools of two programs that are gone, beside a third one whose events nobody has touched."""
    stack.enter_context(impatient_flushers())
    bad, good = Liar(), Liar()
    stack.callback(bad.close)
    stack.callback(good.close)
    template = world.directory.parent / "template"
    kept = _made(world, template, bad, good)
    files = _files(template / "v1", kept)
    roles = _roles(files)
    change = st.one_of([_changes(role, paths, files) for role, paths in sorted(roles.items())])

    def check(case: list[Any]) -> None:
        bad.bodies.clear()
        good.bodies.clear()
        world.clear()
        shutil.copytree(template, world.spool, symlinks=True)
        for role, nth, how, what in case:
            _tamper(world, roles[role], nth, how, what)
        for command in COMMANDS:
            _run(command, world.spool)
        missing = [message for message in GOOD if not any(message.encode() in body for body in good.bodies)]
        if missing and not any(role in _VITAL for role, *_ in case):
            raise Failure("good events were not delivered", ", ".join(missing))

    return Target("commands", st.lists(change, min_size=1, max_size=4), check, world.touched, steps=len(COMMANDS))


GOOD = ("good one", "good two")


def _made(world: World, template: Path, bad: Liar, good: Liar) -> str:
    """Make the spool that all others are made of; returns the id of the writer that is left alone."""
    layout = world.layout()
    dsn = f"backtrace+http://{bad.origin}?token=bad"
    bad.answer = lambda body: REFUSED if b"refuse me" in body else OK
    _program(layout, dsn, "early", "refuse me")
    _run(("flush", "--timeout", "20"), world.spool)
    bad.answer = lambda body: OK
    _program(layout, dsn, "late", "later")
    _program(layout, "", "nowhere")
    [key] = [name[: -len(".json")] for name in os.listdir(layout.destinations) if name.endswith(".json")]
    redirects.give(layout, None, key)
    orders.give(layout, orders.Order(orders.REPLAY, None))
    Path(layout.flusher_log).write_bytes(b"Traceback\nOSError: [Errno 28] No space left on device\n")
    os.chmod(layout.flusher_log, 0o600)
    writer = Process(layout, f"booboo+http://good@{good.origin}/o/p", *GOOD).ends()
    shutil.copytree(world.spool, template, symlinks=True)
    return writer.writer.id


def _program(layout: Layout, dsn: str, *messages: str) -> None:
    command = [sys.executable, "-c", PROGRAM, layout.spool, *messages]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LASTWORD_")}
    subprocess.run(command, env={**environment, "TEST_DSN": dsn}, check=False, timeout=60, stdin=subprocess.DEVNULL)


def _files(base: Path, kept: str) -> dict[str, bytes]:
    """The files and directories below ``v1`` that may be tampered with, with what they hold."""
    found = {"": b""}
    for path in sorted(base.rglob("*")):
        name = str(path.relative_to(base))
        if kept not in name and not (name.startswith("destinations/") and b"good" in path.read_bytes()):
            found[name] = path.read_bytes().rstrip(b"\0") if path.is_file() else b""
    return found


def _roles(files: dict[str, bytes]) -> dict[str, list[str]]:
    """Their names, by what they are names for: those of one role differ by ids and times."""
    roles: dict[str, list[str]] = {}
    for name in files:
        roles.setdefault(_ID.sub("*", name), []).append(name)
    return roles


def _changes(role: str, paths: Sequence[str], files: dict[str, bytes]) -> st.SearchStrategy[tuple[str, int, str, Any]]:
    which = st.integers(0, len(paths) - 1)
    others = st.one_of(
        st.tuples(st.just(role), which, st.just("becomes"), st.sampled_from(KINDS)),
        st.tuples(st.just(role), which, st.sampled_from(["renamed", "copied"]), st.sampled_from(NAMES)),
    )
    samples = [files[path] for path in paths if files[path]]
    if not samples:
        return others
    content = mutated([*samples, *(one for one in files.values() if one)][: len(samples) + 2])
    content = st.one_of(content, content.map(reframed), content.map(reframed))
    return st.one_of(others, *[st.tuples(st.just(role), which, st.just("content"), content)] * 3)


def _tamper(world: World, paths: Sequence[str], nth: int, how: str, what: Any) -> None:
    path = world.spool / "v1" / paths[nth % len(paths)]
    with suppress(OSError):  # an earlier change has taken it away
        if how == "content":
            path.unlink()  # an earlier change may have made it a FIFO, or a link to somewhere else
            path.write_bytes(what[:LARGEST])
        elif how == "renamed":
            os.rename(path, path.parent / what)
        elif how == "copied":
            _copy(str(path), str(path.parent / what))
        else:
            _become(path, what, world)


def _copy(path: str, to: str) -> None:
    """Copy a file or a directory; of a file that another change has made large only its size, of a link only itself."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.copytree(path, to, symlinks=True, copy_function=_copy)
        return
    if os.path.lexists(to):
        os.unlink(to)  # as above
    if os.lstat(path).st_size > LARGEST:
        open(to, "xb").close()
        os.truncate(to, os.lstat(path).st_size)
    else:
        shutil.copy(path, to, follow_symlinks=False)


def _become(path: Path, kind: str, world: World) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    links: dict[str, Union[str, Path]] = {
        "link to a file": world.canary / "kept.txt",
        "link to a directory": world.canary,
        "link to /dev/zero": "/dev/zero",
        "link to nothing": world.canary / "nothing",
        "link to itself": path,
    }
    if kind in links:
        path.symlink_to(links[kind])
    elif kind == "empty":
        path.touch()
    elif kind == "a directory":
        (path / "inner").mkdir(parents=True)
    elif kind == "deep":
        path.joinpath(*["d"] * 200).mkdir(parents=True)
    elif kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a terabyte":
        path.touch()
        os.truncate(path, 1 << 40)
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))


def _run(command: Sequence[str], spool: Path) -> None:
    """Run one as the shell would, up to its printing in UTF-8; raises Failure for what it must not print."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    arguments = [_some_id(spool) if word == "ID" else word for word in command]
    with redirect_stdout(out), redirect_stderr(err):
        status = cli.main([*arguments, "--spool", str(spool)])
    if status not in (0, 1, 2):
        raise Failure(f"{command[0]}: exit status {status}")
    printed, said = (stream.buffer.getvalue().decode("utf-8") for stream in (out, err))
    if "Traceback (most recent call last)" in said:
        frames = re.findall(r'File "[^"]*?([^/"]+/[^/"]+)", line \d+, in (\w+)', said)
        raise Failure(f"{said.rstrip().splitlines()[-1].partition(':')[0]} in {', '.join(frames[-1])}", said)
    if len(printed + said) > MOST_PRINTED:
        raise Failure(f"{command[0]} prints too much", f"{len(printed + said)} characters")
    for line in (printed + said).split("\n"):
        if not line.replace("\t", "").isprintable():
            raise Failure(f"{' '.join(command[:2])} prints what steers a terminal", repr(line)[:1000])


def _some_id(spool: Path) -> str:
    """The id of an event that is set aside, if any is."""
    with suppress(OSError):
        for name in sorted(os.listdir(spool / "v1" / "set_aside")):
            return name.partition(".")[0] or "a"
    return "a"
