"""The promise: until there is something to report, a program that uses lastword is as if it did not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import footprint, needs
from tests.support.leftovers import Leftovers

AUDITED = needs.capability(sys.implementation.name == "cpython", "audit event for every system call")
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
        "logging.Logger.filter",
        "warnings.showwarning",
        "sys.meta_path",
    }
    assert list(tmp_path.glob("spool/*")) == []
    assert spool.exists() == spool_is_there


@pytest.mark.parametrize(
    ("kind", "statements"),
    [
        ("module", "import pytest"),
        (
            "thread",
            "import threading; threading.Thread(target=__import__('time').sleep, args=(9,), daemon=True).start()",
        ),
        pytest.param("process", "import os; os.fork() or os._exit(0); os.wait()", marks=AUDITED),
        ("process", "import subprocess; subprocess.run(['true'])"),
        ("left running", "import subprocess; subprocess.Popen(['sleep', '60'], start_new_session=True)"),
        ("socket", "import socket; socket.socket().close()"),
        ("descriptor", "import os; os.open('/dev/null', os.O_RDONLY)"),
        ("file", "import tempfile; tempfile.TemporaryFile().close()"),
        pytest.param("file", "import os; os.mkdir('d'); os.rmdir('d')", marks=AUDITED),
        ("left behind", "open('f', 'w').close()"),
        ("left behind", "import atexit; atexit.register(lambda: open('f', 'w').close())"),
        ("hook", "import sys; sys.excepthook = print"),
        ("hook", "import threading; threading.excepthook = print"),
        ("hook", "import logging; logging.Logger.filter = print"),
        ("hook", "import logging; logging.getLogger().addHandler(logging.NullHandler())"),
        ("hook", "import warnings; warnings.showwarning = print"),
        ("hook", "import signal; signal.signal(signal.SIGTERM, print)"),
        ("hook", "import faulthandler; faulthandler.enable()"),
        ("environment", "import os; os.environ['A'] = 'b'"),
    ],
)
def test_a_trace_of_each_kind_would_be_seen(tmp_path: Path, kind: str, statements: str) -> None:
    """The two tests above are worth something only if their instrument is not blind."""
    assert kind in traces_of(statements, tmp_path / "program")
