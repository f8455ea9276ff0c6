"""The promise: a program that nobody edits reports by the drop-ins, in all its processes, with the originals installed.

test_install.py shows with stand-ins how imports are replaced.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from lastword.cli.demo.servers import start_gunicorn
from lastword.testing import LoopbackTracker
from tests.support import needs
from tests.support.programs import PROGRAMS
from tests.support.promise import Section, promise

pytestmark = [
    needs.installed("booboo", "backtracepython"),
    promise(
        Section.DROP_INS,
        "An unedited program reports by the drop-ins in all its processes",
        broken_by="settings not carried to spawned children",
    ),
]

#: To have the drop-ins, a program says this before it imports the originals.
INSTALLED = (
    "import backtracepython as bt\n",
    "from lastword import compat\ncompat.install()\nimport backtracepython as bt\n",
)

#: The main module of children that are started anew is this one, of which they run nothing.
START = """
if __name__ == "__main__":
    from lastword import compat
    compat.install()
    import program
    program.main()
"""


@contextmanager
def trackers(folder: Path) -> Iterator[tuple[LoopbackTracker, LoopbackTracker, dict[str, str]]]:
    """One of each kind, and an environment that names them."""
    with LoopbackTracker("booboo") as booboo, LoopbackTracker("backtrace", token="TOKEN") as backtrace:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        places = {"BOOBOO": booboo.dsn.partition("+")[2], "BACKTRACE": f"http://127.0.0.1:{backtrace.port}"}
        yield booboo, backtrace, {**os.environ, **places, "PATH": path, "LASTWORD_SPOOL": str(folder / "spool")}


WAYS = {
    "run": ["-m", "lastword", "run", "--compat", "booboo,backtracepython", "--", "program.py"],
    "install": ["program.py"],
    "install in the parent alone": ["start.py"],
}


@pytest.mark.parametrize("way", WAYS)
def test_all_processes_of_a_program_report(way: str, tmp_path: Path) -> None:
    """Forked, of a pool however started, and Pythons of their own, that are killed at once."""
    program = (PROGRAMS / "both_originals.py").read_text("utf-8")
    (tmp_path / "program.py").write_text(program.replace(*INSTALLED) if way == "install" else program)
    (tmp_path / "start.py").write_text(START)
    with trackers(tmp_path) as (booboo, backtrace, environment):
        done = subprocess.run(
            [sys.executable, *WAYS[way]], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=90
        )
        assert done.returncode == 0, done.stderr
        said = sorted(done.stdout.splitlines())
        anew = [] if way == "install in the parent alone" else ["module", "python", "shell"]
        assert [line.split()[0] for line in said] == sorted([*["child"] * 3, "forked", "parent", *anew])
        for tracker in (booboo, backtrace):
            assert sorted(event.message for event in tracker.wait_for(len(said), timeout=30)) == said
        agents = {(event.body or {})["context"]["sdk"]["name"] for event in booboo.events}
        assert agents == {"lastword"}


APPLICATION = """
import os
import booboo
booboo.init(os.environ["BOOBOO"])
def app(environ, start_response):
    booboo.capture_message(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


@needs.installed("gunicorn")
def test_gunicorn_under_lastword_run(tmp_path: Path) -> None:
    """An application that imports the original, preloaded; its workers are killed in an outage."""
    (tmp_path / "shop.py").write_text(APPLICATION)
    run = [sys.executable, "-m", "lastword", "run", "--compat", "booboo", "--"]
    with trackers(tmp_path) as (booboo, _, environment):
        server, port = start_gunicorn(tmp_path, environment, "shop:app", workers=2, python=run)
        try:
            booboo.go_down()
            for number in range(4):
                with urlopen(f"http://127.0.0.1:{port}/{number}", timeout=60) as answer:
                    os.kill(int(answer.read()), signal.SIGKILL)
            booboo.come_up()
            assert sorted(event.message for event in booboo.wait_for(4, timeout=30)) == ["/0", "/1", "/2", "/3"]
        finally:
            server.ask_to_stop()
            server.end(patience=30)
        assert server._process.returncode == 0, server.log_tail()


BOTH = """
import os
import lastword.compat.backtracepython as bt
import lastword.compat.booboo as booboo
for set_up in SET_UP:
    set_up()
booboo.capture_message("of booboo")
bt.send_report("of backtracepython")
raise ValueError("of both")
"""


@pytest.mark.parametrize("order", ["the one", "the other"])
def test_two_drop_ins_in_one_program(order: str, tmp_path: Path) -> None:
    """Calls go each to its own tracker, uncaught exceptions to both, as with the originals, in any order."""
    set_up = ["lambda: booboo.init(os.environ['BOOBOO'])", "lambda: bt.initialize(os.environ['BACKTRACE'], 'TOKEN')"]
    in_order = set_up if order == "the one" else set_up[::-1]
    program = BOTH.replace("SET_UP", f"[{', '.join(in_order)}]")
    with trackers(tmp_path) as (booboo, backtrace, environment):
        subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, timeout=60)
        for tracker, own in ((booboo, "of booboo"), (backtrace, "of backtracepython")):
            assert sorted(event.message for event in tracker.wait_for(2, timeout=30)) == sorted([own, "of both"])
