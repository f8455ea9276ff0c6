"""The promise: no call of the drop-in raises into the program, whatever it is given, and something always arrives."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compat.side_by_side import DROP_IN, run_with
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.BACKTRACEPYTHON,
    "No argument makes it raise, and some report always arrives",
    broken_by="the original in its place; no bound on texts, on depth",
)

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
    "attachments that are no list": """
initialize(attachments=5)
report = bt.BacktraceReport()
report.attachments = None
report.send()
""",
    "options that are no numbers": """
initialize(context_line_count="many", tab_width=object(), timeout="soon")
with reporting(): raise ValueError("odd")
""",
    "attributes of all kinds": """
class Odd:
    def __str__(self): raise RuntimeError
    __repr__ = __eq__ = __bool__ = __len__ = __str__
    __hash__ = object.__hash__
class OddDict(dict):
    def __iter__(self): raise RuntimeError
    items = keys = __len__ = __iter__
initialize(attributes={Odd(): Odd(), (1, 2): {3}, "o": OddDict(a=1), "t": type, "m": sys, "f": initialize})
client.set_attribute(Odd(), Odd())
client.set_attributes(OddDict(a=1))
client.set_attributes(7)
report = bt.BacktraceReport()
report.set_attribute(Odd(), [Odd()])
report.set_annotation(None, OddDict(a=1))
report.log(Odd())
report.send()
""",
    "the end, again and again": """
threads = [threading.Thread(target=bt.finalize) for _ in range(5)]
bt.send_report("one")
for thread in threads: thread.start()
bt.finalize()
for thread in threads: thread.join()
bt.finalize()
bt.send_report("after the end")
""",
    "signals that report in the middle of a report": """
import signal
def tell(*_): bt.BacktraceReport()
signal.signal(signal.SIGALRM, tell)
for moment in range(1, 41):
    signal.setitimer(signal.ITIMER_REAL, moment / 10_000)
    bt.BacktraceReport()
bt.send_report("one")
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
