"""The promise: no call of the drop-in raises into the program, whatever it is given, and something always arrives."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compat.side_by_side import DROP_IN, run_with

PROGRAMS = {
    "an exception that cannot be shown": """
class Odd(Exception):
    def __str__(self): raise RuntimeError
    __repr__ = __str__
with reporting(): raise Odd
""",
    "lone surrogates": """
with reporting(annotations={"\\udc80": "\\ud800"}, attributes={"\\udc80": "\\ud800"}): raise ValueError("\\udc80")
""",
    "a full stack": """
def dig(): dig()
with reporting(): dig()
""",
    "huge local variables": """
def fail(large=[0] * 1_000_000, text="x" * 10_000_000): raise ValueError(text)
with reporting(): fail()
""",
    "what is no dict": """
with reporting(attributes=[1], annotations=7): raise ValueError
""",
    "a huge report in the program's hands": """
report = bt.BacktraceReport()
report.get_data()["huge"] = {"a": ["x" * 1000] * 5000, "b": "y" * 5_000_000}
report.send()
""",
    "a report of which nothing is left": """
report = bt.BacktraceReport()
report.log("a line")
report.get_data().clear()
report.send()
""",
    "a huge message": """
bt.send_report("x" * 5_000_000)
""",
    "a thousand threads' worth of frames": """
def dig(depth):
    if depth: dig(depth - 1)
    else:
        ready.release()
        gate.wait()
gate, ready = threading.Event(), threading.Semaphore(0)
threads = [threading.Thread(target=dig, args=(200,)) for _ in range(30)]
for thread in threads: thread.start()
for thread in threads: ready.acquire()
bt.send_report("threads")
gate.set()
for thread in threads: thread.join()
""",
    "no working directory": """
os.mkdir("gone"); os.chdir("gone"); os.rmdir("../gone")
with reporting(): raise ValueError("nowhere")
""",
    "a time-out of connecting and reading": """
initialize(timeout=(3, 27))
bt.send_report("pair")
initialize(timeout=None)
initialize(timeout=-1)
""",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_something_arrives_and_the_program_goes_on(name: str, tmp_path: Path) -> None:
    """One report, of less than a record may have."""
    program = f"initialize(attributes={{'serverId': 7}})\n{PROGRAMS[name]}\nprint('goes on')"
    ours = run_with(DROP_IN, program, tmp_path / "program", reports=1)
    assert (ours.stdout, ours.status) == ("goes on\n", 0), ours.stderr
    [report] = ours.reports
    assert report.stored and len(report.raw) < 1 << 20
