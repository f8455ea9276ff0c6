"""The promise: until there is something to report, a program that uses lastword is as if it did not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import footprint
from tests.support.leftovers import Leftovers

DSN = "booboo+http://T@127.0.0.1:9/o/p"


def traces_of(statements: str, directory: Path) -> dict[str, list[str]]:
    """What the statements leave or do in a new interpreter that has ``directory`` alone to write to.

    Besides what the program tells of itself: the files and the processes that are there once it has ended.
    """
    directory.mkdir()
    answer, errors = directory.with_suffix(".answer"), directory.with_suffix(".errors")
    with answer.open("w") as stdout, errors.open("w") as stderr:  # not pipes: whoever inherited one would hold us up
        status = subprocess.call(
            [sys.executable, "-I", "-B", footprint.__file__, statements],
            cwd=directory,
            env={"HOME": str(directory), "TMPDIR": str(directory), "XDG_STATE_HOME": str(directory / "state")},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
    assert (status, errors.read_text()) == (0, "")
    traces: dict[str, list[str]] = json.loads(answer.read_text())
    leftovers = Leftovers(directory)
    traces["left running"] = leftovers.wait(0)
    leftovers.kill()
    traces["left behind"] = [str(path.relative_to(directory)) for path in directory.rglob("*")]
    return {kind: found for kind, found in traces.items() if found}


def test_import_leaves_no_trace(tmp_path: Path) -> None:
    """`import lastword` loads nothing foreign, starts nothing, opens nothing, hooks nothing and writes nothing."""
    assert traces_of("import lastword", tmp_path / "program") == {}


@pytest.mark.parametrize("spool_is_there", [False, True])
def test_init_on_an_empty_spool_sets_its_hooks_and_does_nothing_else(tmp_path: Path, spool_is_there: bool) -> None:
    """`lastword.init` hears of uncaught exceptions from then on; all else waits for the first event."""
    spool = tmp_path / "spool"
    if spool_is_there:
        spool.mkdir()
    traces = traces_of(f"import lastword; lastword.init({DSN!r}, spool={str(spool)!r})", tmp_path / "program")
    hooks = {line.partition(": ")[0] for line in traces.pop("hook")}
    assert traces == {}
    assert hooks - {"atexit"} == {
        "sys.excepthook",
        "threading.excepthook",
        "sys.unraisablehook",
        "sys.__excepthook__",
        "sys.__unraisablehook__",
        "logging.Logger.filter",
        "warnings._showwarnmsg_impl",
        "sys.meta_path",
    }
    assert list(tmp_path.glob("spool/*")) == []
    assert spool.exists() == spool_is_there


#: What a program may do: the kind of its trace, the statement, and a part of the trace.
DEEDS: list[tuple[str, str, str]] = [
    ("module", "import pytest", "pytest"),
    (
        "thread",
        "import threading, time; threading.Thread(None, time.sleep, 'sleeper', (9,), daemon=True).start()",
        "sleeper ",
    ),
    ("process", "import subprocess; subprocess.run(['true'])", "true"),
    ("left running", "subprocess.Popen(['sleep', '60'], start_new_session=True)", "sleep"),
    ("socket", "import socket; socket.socket().close()", "socket."),
    ("descriptor", "import os; os.open('/dev/null', os.O_RDONLY)", "/dev/null"),
    ("file", "open('gone', 'w').close(); os.remove('gone')", "open('gone'"),
    ("left behind", "open('now', 'w').close()", "now"),
    ("left behind", "import atexit; atexit.register(lambda: open('at the end', 'w').close())", "at the end"),
    ("hook", "import sys; sys.excepthook = print", "sys.excepthook"),
    ("hook", "threading.excepthook = print", "threading.excepthook"),
    ("hook", "import logging; logging.Logger.filter = print", "logging.Logger.filter"),
    ("hook", "logging.getLogger().addHandler(logging.NullHandler())", "logging.handlers"),
    ("hook", "import warnings; warnings.showwarning = print", "warnings.showwarning"),
    ("hook", "import signal; signal.signal(signal.SIGTERM, print)", f"signal {signal.SIGTERM:d}"),
    ("hook", "import faulthandler; faulthandler.enable()", "faulthandler"),
    ("environment", "os.environ['A'] = 'b'", "A=b"),
]
AUDITED_DEEDS = [
    ("process", "import os; os.fork() or os._exit(0); os.wait()", "os.fork"),
    ("file", "os.mkdir('d'); os.rmdir('d')", "os.rmdir"),
]


def test_a_trace_of_each_kind_would_be_seen(tmp_path: Path) -> None:
    """The two tests above are worth something only if their instrument is not blind."""
    deeds = [*(AUDITED_DEEDS if sys.implementation.name == "cpython" else []), *DEEDS]  # no fork beside a thread
    traces = traces_of("\n".join(statement for _, statement, _ in deeds), tmp_path / "program")
    unseen = [
        (kind, statement) for kind, statement, sign in deeds if not any(sign in trace for trace in traces.get(kind, []))
    ]
    assert not unseen, traces
