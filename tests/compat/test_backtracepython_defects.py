"""The promise: what is wrong with ``backtracepython`` is right in the drop-in.

Each program says what should be; the released package fails it, the drop-in keeps it. The names are those of the
table in docs/compat.md.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lastword.testing import LoopbackTracker
from tests.compat.side_by_side import DROP_IN, ORIGINAL, Outcome, end_in_an_outage, run_with
from tests.support import needs
from tests.support.programs import wait_until
from tests.support.promise import Section, promise

pytestmark = [
    needs.installed("backtracepython"),
    promise(
        Section.BACKTRACEPYTHON,
        "Defects of `backtracepython` are fixed in the drop-in",
        broken_by="the original itself, in the same test; the same uuid again",
    ),
]

FAIL = "def fail(): raise ValueError('failed')\n"

Kept = Callable[[Outcome], object]


def _messages(*expected: str) -> Kept:
    return lambda outcome: outcome.messages == sorted(expected)


def _blamed(outcome: Outcome) -> dict[str, Any]:
    body = outcome.reports[0].body
    assert body is not None
    blamed: dict[str, Any] = body["threads"][body["mainThread"]]
    return blamed


def _attributes(outcome: Outcome) -> dict[str, Any]:
    body = outcome.reports[0].body
    assert body is not None
    return dict(body["attributes"])


def _annotations(outcome: Outcome) -> list[dict[str, Any]]:
    return [(report.body or {})["annotations"] for report in outcome.reports]


def _is_the_childs(outcome: Outcome) -> object:
    pid, name, session, age = outcome.stdout.split()
    said = _attributes(outcome)
    return (
        said["process.id"] == int(pid)
        and said["application"] == name
        and said["application.session"] != session
        and said["process.age"] < int(age)
    )


#: Name → the program, and what is to be seen of its outcome.
DEFECTS: dict[str, tuple[str, Kept]] = {
    "B-1 the version is that of the distribution": (
        "print(bt.version_string, bt.version.patch)",
        lambda outcome: outcome.stdout == "0.4.3 3\n",
    ),
    "B-2 initialize twice, one report": (
        FAIL
        + "initialize()\ninitialize()\nhook = sys.excepthook\nsys.setrecursionlimit(120)\n"
        + "sys.excepthook = lambda *error: hook(*error)\nfail()",
        lambda outcome: outcome.messages == ["failed"] and outcome.stderr.count("ValueError: failed") == 1,
    ),
    "B-2 the hook before ours is called once": (
        FAIL
        + "calls = []\nsys.excepthook = lambda *error: calls.append(error) or print(len(calls), 'by the program')\n"
        + "initialize()\ninitialize()\nsys.setrecursionlimit(120)\nfail()",
        lambda outcome: outcome.messages == ["failed"] and outcome.stdout == "1 by the program\n",
    ),
    "B-3 what is no JSON costs nothing": (
        "initialize()\nbt.send_report('odd', annotations={'o': object(), 's': {1}, 'b': b'\\xff'})\n"
        "loop = []; loop.append(loop)\nbt.send_report('loop', annotations={'loop': loop})\nbt.send_report('later')",
        _messages("odd", "loop", "later"),
    ),
    "B-4 a forked child reports": (
        "initialize()\nif os.fork() == 0:\n    bt.send_report('child')\n    bt.finalize()\n    os._exit(0)\n"
        "os.wait()\nbt.send_report('parent')",
        _messages("child", "parent"),
    ),
    "B-5 a child's attributes are its own": (
        """
import multiprocessing
def work(pipe):
    initialize(disable_global_handler=True)  # here, for B-4 loses what a child queues otherwise
    bt.send_report("child")
    bt.finalize()
    pipe.send((os.getpid(), multiprocessing.current_process().name))
theirs = client.get_attributes()["application.session"]
while client.get_attributes()["process.age"] < 2:
    time.sleep(0.05)
ends = multiprocessing.get_context("fork").Pipe()
process = multiprocessing.get_context("fork").Process(target=work, args=(ends[0],), name="my-child")
process.start()
pid, name = ends[1].recv()
process.join()
print(pid, name, theirs, 2)
""",
        _is_the_childs,
    ),
    "B-7 the line is the traceback's": (
        FAIL + "def handle():\n    try:\n        fail()\n    except ValueError:\n        bt.send_last_exception()\n"
        "initialize()\nhandle(); print(handle.__code__.co_firstlineno + 2)",
        lambda outcome: _blamed(outcome)["stack"][1]["line"] == int(outcome.stdout),
    ),
    "B-9 what was sent does not change": (
        "initialize()\nreport = bt.BacktraceReport()\nreport.set_annotation('items', items := [1])\n"
        "report.set_attribute('error.message', 'first')\n"
        "bt.send_report('keeps the other thread busy', annotations={'big': ['x' * 100] * 1000})\n"
        "report.send()\nreport.set_attribute('error.message', 'changed')\nitems.append(2)",
        lambda outcome: "first" in outcome.messages and {"items": [1]} in _annotations(outcome),
    ),
    "B-9 sent again is another report": (
        "initialize()\nreport = bt.BacktraceReport()\nreport.send()\nreport.send()\nreport.send()",
        lambda outcome: len({report.id for report in outcome.reports}) == 3,
    ),
    "B-9 sent again is another report after get_data": (
        "initialize()\nreport = bt.BacktraceReport()\nreport.get_data()\nreport.send()\nreport.send()",
        lambda outcome: len({report.id for report in outcome.reports}) == 2,
    ),
    "B-10 attachments are those of the moment, all of them, by name alone": (
        """
os.mkdir("a"), os.mkdir("b")
for folder in "ab":
    open(folder + "/log.txt", "w").write(folder)
initialize(attachments=[os.path.abspath("a/log.txt"), os.path.abspath("b/log.txt")])
bt.send_report("with files")
os.remove("a/log.txt")
open("b/log.txt", "a").write("later")
""",
        lambda outcome: dict(outcome.reports[0].attachments) == {"log.txt": b"a", "log-2.txt": b"b"},
    ),
    "B-11 a message blames the thread that sends it": (
        "initialize()\nthread = threading.Thread(target=bt.send_report, args=('from a thread',), name='worker')\n"
        "thread.start()\nthread.join()",
        lambda outcome: _blamed(outcome)["name"] == "worker",
    ),
    "B-11 who is blamed is no matter of names": (
        "initialize()\nthreading.current_thread().name = 'serving'\nbt.send_report('from the main thread')",
        lambda outcome: _blamed(outcome)["fault"] and _blamed(outcome)["name"] == "serving",
    ),
    "B-12 no exception, no report": (
        "initialize()\nbt.send_last_exception()\nreport = bt.BacktraceReport()\nreport.capture_last_exception()",
        _messages(),
    ),
    "B-13 a slash at the end of the endpoint": (
        "initialize(endpoint=URL + '/')\nbt.send_report('slash')",
        lambda outcome: outcome.reports[0].path == "/post?token=TOKEN&format=json",
    ),
    "B-14 an exception that cannot be shown": (
        "class Odd(Exception):\n    def __str__(self): raise RuntimeError\ninitialize()\n"
        "try: raise Odd\nexcept Odd: bt.send_last_exception()\nprint('goes on')",
        lambda outcome: outcome.stdout == "goes on\n" and outcome.messages == ["<unprintable Odd>"],
    ),
    "B-14 an exception that cannot be shown and nobody catches": (
        "class Odd(Exception):\n    def __str__(self): raise RuntimeError\ninitialize()\nraise Odd",
        lambda outcome: outcome.messages == ["<unprintable Odd>"] and "Odd: <exception str() failed>" in outcome.stderr,
    ),
    "B-16 a report has an end": (
        "initialize()\ndef dig(depth): return dig(depth + 1)\ntry: dig(0)\nexcept RecursionError as error:\n"
        "    bt.send_last_exception(annotations={'big': 'x' * 5_000_000, 'after': 1})",
        lambda outcome: len(outcome.reports) == 1 and len(outcome.reports[0].raw) < 1_048_576,
    ),
    "B-17 no default is shared": (
        "first = bt.BacktraceReport()\nbt.initialize('http://127.0.0.1:1', 'T', exit_timeout=0)\n"
        "import inspect\ndefaults = inspect.signature(bt.initialize).parameters\n"
        "print(defaults['attachments'].default, defaults['attributes'].default)",
        lambda outcome: outcome.stdout == "None None\n",
    ),
    "B-17 what was added to one set-up is not in the next": (
        "initialize()\nclient.globs.attachments.append('program.py')\ninitialize()\nbt.send_report('no files')",
        lambda outcome: outcome.messages == ["no files"] and not outcome.reports[0].attachments,
    ),
    "B-18 nothing waits at the end, nothing is lost": (
        "initialize(exit_timeout=0)\nfor number in range(5): bt.send_report(f'{number}')",
        _messages(*"01234"),
    ),
}

#: How many reports the drop-in sends where that is not one.
REPORTS = {"B-1": 0, "B-3": 3, "B-4": 2, "B-12": 0, "B-17 no": 0, "B-18": 5, "B-9 what": 2, "B-9 sent": 3}
REPORTS["B-9 sent again is another report after"] = 2


def _expected(name: str) -> int:
    return REPORTS.get(max((start for start in REPORTS if f"{name} ".startswith(f"{start} ")), key=len, default=""), 1)


@pytest.mark.parametrize("name", DEFECTS)
def test_defect_of_the_original_is_fixed_in_the_drop_in(name: str, tmp_path: Path) -> None:
    """The original fails what the drop-in keeps, in the same program."""
    program, kept = DEFECTS[name]
    assert not _is_kept(kept, run_with(ORIGINAL, program, tmp_path / "theirs"))
    ours = run_with(DROP_IN, program, tmp_path / "ours", reports=_expected(name))
    assert _is_kept(kept, ours), (ours.stdout, ours.stderr, [report.body for report in ours.reports])


def _is_kept(kept: Kept, outcome: Outcome) -> bool:
    try:
        return bool(kept(outcome))
    except (AssertionError, LookupError, ValueError):  # nothing arrived, or not what was meant
        return False


class TestAnOutage:
    """B-8: what cannot be sent now is kept."""

    PROGRAM = "sys.stdin.readline()\ninitialize(exit_timeout=0.1)\nbt.send_report('during')\nsys.stdin.readline()"

    @pytest.mark.parametrize("package", [ORIGINAL, DROP_IN])
    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_a_report_outlives_a_tracker_that_refuses_for_now(self, package: str, status: int, tmp_path: Path) -> None:
        """The drop-in tries again; the original has forgotten it."""

        def trouble(tracker: LoopbackTracker, process: subprocess.Popen[str]) -> None:
            assert process.stdin is not None
            tracker.answer(status, times=1, retry_after=1)
            process.stdin.write("\n")
            process.stdin.flush()
            wait_until(lambda: tracker.requests, "a first attempt")

        outcome = run_with(package, self.PROGRAM, tmp_path / "program", reports=1, during=trouble)
        arrived = [report for report in outcome.reports if report.stored]
        assert len(arrived) == (1 if package == DROP_IN else 0)

    @pytest.mark.parametrize("package", [ORIGINAL, DROP_IN])
    def test_a_report_outlives_a_kill(self, package: str, tmp_path: Path) -> None:
        """SIGKILL as soon as the call has returned."""
        program = "sys.stdin.readline()\ninitialize()\nbt.send_report('last words')\nos.kill(os.getpid(), 9)"

        outcome = run_with(package, program, tmp_path / "program", reports=1, during=end_in_an_outage)
        assert outcome.status == -signal.SIGKILL
        assert outcome.messages == (["last words"] if package == DROP_IN else [])


def test_no_shell_is_started_at_import(tmp_path: Path) -> None:
    """B-19: without a shell the original cannot even be imported."""
    for package, status in ((ORIGINAL, 1), (DROP_IN, 0)):
        program = (
            "import subprocess\ndef refuse(*arguments, **options): raise FileNotFoundError('/bin/sh')\n"
            f"subprocess.Popen = refuse\nimport {package}\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, timeout=60, check=False
        )
        assert done.returncode == status, done.stderr
