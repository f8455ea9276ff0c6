"""The promise: a program that changes its import from ``backtracepython`` to the drop-in sends the same reports.

Each program runs with the released package and with the drop-in, and all that arrives is compared key by key. What
differs on purpose is not compared here: docs/compat.md lists it, and test_backtracepython_defects.py shows it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.compat.side_by_side import DROP_IN, ORIGINAL, in_order, run_with
from tests.support import needs
from tests.support.promise import Section, promise

pytestmark = [
    needs.installed("backtracepython"),
    promise(
        Section.EVENTS,
        "Tracebacks have the same marks under their lines as Python prints, in Backtrace and in `lastword show`",
    ),
    promise(
        Section.BACKTRACEPYTHON,
        "A program that used `backtracepython` sends the same reports",
        broken_by="a copy of `attributes` taken at `initialize`",
    ),
]

FAIL = """
def fail(amount=3):
    raise ValueError(f"no {amount}")
"""

#: Name → how many reports, and the program.
PROGRAMS: dict[str, tuple[int, str]] = {
    "message": (1, "initialize()\ndef announce():\n    bt.send_report('deployed')\nannounce()"),
    "message with values": (
        1,
        "initialize()\nbt.send_report('deployed', attributes={'error.message': 'x', 'error.type': 'y', 'version': 7},"
        " annotations={'steps': [1, {'a': None}]}, ignored='z')",
    ),
    "messages that are no texts": (2, "initialize()\nbt.send_report(17)\nbt.send_report({'a': 1})"),
    "guide 1, unhandled": (1, FAIL + "initialize()\nfail()"),
    "unhandled KeyboardInterrupt": (1, "initialize()\nraise KeyboardInterrupt"),
    "unhandled, with a hook before": (
        1,
        FAIL + "def mine(kind, error, traceback): print('mine', kind.__name__)\nsys.excepthook = mine\n"
        "initialize()\nfail()",
    ),
    "what the hook does not hear": (
        0,
        FAIL
        + """
import multiprocessing
initialize()
child = multiprocessing.get_context("fork").Process(target=fail)
child.start()
child.join()
print(child.exitcode)
thread = threading.Thread(target=fail, name="fails")
thread.start()
thread.join()
""",
    ),
    "SystemExit": (0, "initialize()\nraise SystemExit(3)"),
    "guide 2, handled": (
        1,
        "initialize()\nwith reporting(): raise Exception('This report was sent manually.')",
    ),
    "guide 3, handled with values": (
        1,
        FAIL + "initialize()\nwith reporting(attributes={'a': 1, 'deep': {'b': 2}}, annotations={'n': [1, 2]}): fail()",
    ),
    "overriding": (
        1,
        FAIL + "initialize()\n"
        "with reporting(attributes={'error.message': 'mine', 'error.type': 'mine', 'hostname': 'me'},"
        " annotations={'Exception': 'mine'}): fail()",
    ),
    "guide 4, a report object": (
        1,
        FAIL
        + """
initialize(attributes={"application": "shop"})
report = bt.BacktraceReport()
never = bt.BacktraceReport()
report.set_attribute("path", "/checkout")
report.set_attribute("deep", {"stays": "an attribute"})
report.set_dict_attributes({"a": 1, "b": {"c": None}})
report.set_annotation("cart", [{"id": 7, "price": 1.5}, None, True])
report.set_dict_annotations({"d": {"e": [1]}})
report.log("one")
report.log("two")
class capturing:
    def __enter__(self):
        pass
    def __exit__(self, *error):
        report.capture_last_exception()
        return True
with capturing(): fail()
report.send()
""",
    ),
    "what a report says of itself": (
        1,
        """
initialize()
report = bt.BacktraceReport()
data = report.get_data()
assert data is report.report and data["attributes"] is report.get_attributes()
assert data["annotations"] is report.get_annotations()
assert report.get_attachments() is report.attachments == []
assert report.log_lines == [] and report.source_code == {} and report.source_path_dict == {}
assert report.fault_thread is threading.main_thread() and report.faulting_thread_id == str(threading.get_ident())
data["fingerprint"] = "abc"
data["attributes"]["mine"] = 1
report.set_attribute("error.message", "told")
del data["annotations"]
data["annotations"] = {"only": "this"}
report.send()
""",
    ),
    "a report put in its place": (
        1,
        """
initialize()
report = bt.BacktraceReport()
report.report = dict(report.report, attributes={"only": "this"})
report.set_attribute("and", "that")
report.send()
""",
    ),
    "an exception after get_data": (
        1,
        FAIL
        + """
initialize()
report = bt.BacktraceReport()
report.get_data()["more"] = "kept"
class capturing:
    def __enter__(self):
        pass
    def __exit__(self, *error):
        report.set_exception(*error)
        return True
with capturing(): fail()
report.send()
""",
    ),
    "guide 5, client-wide values": (
        2,
        """
mine = {"application": "shop", "serverId": 7, "conf": {"a": 1}, "error.type": "never"}
initialize(attributes=mine)
bt.send_report("one", attributes={"serverId": 8})
mine["later"] = True
client.set_attribute("set", 1.5)
client.set_attribute("set too", [1])
client.set_attributes({"some": None, "more": (1, 2)})
assert client.get_attributes()["serverId"] == 7 and client.get_annotations()["conf"] == {"a": 1}
bt.send_report("two")
""",
    ),
    "initialize twice, values in layers": (
        1,
        "initialize(attributes={'a': 1, 'b': 1})\ninitialize(attributes={'b': 2})\ninitialize(attributes=None)\n"
        "bt.send_report('layers')",
    ),
    "guide 6, tabs and lines": (
        1,
        "initialize(tab_width=3, context_line_count=2)\n# above\n# and above\ndef fail():\n\traise ValueError('tabs')\n"
        "# below\n# and below\nwith reporting(): fail()\n# the end",
    ),
    "one line of source": (1, FAIL + "initialize(context_line_count=0)\nwith reporting(): fail()"),
    "no source wanted": (1, FAIL + "initialize(collect_source_code=False)\nwith reporting(): fail()"),
    "source far apart in one file": (
        1,
        FAIL + "#\n" * 600 + "initialize(context_line_count=4)\nwith reporting(): fail()",
    ),
    "no source": (
        1,
        "initialize()\nnamespace = {}\n"
        "exec(compile('def fail():\\n    raise OSError(1)', '<string>', 'exec'), namespace)\n"
        "with reporting(): namespace['fail']()",
    ),
    "no global handler": (1, FAIL + "initialize(disable_global_handler=True)\nbt.send_report('only this')\nfail()"),
    "guide 7, the example": (
        3,
        FAIL
        + """
open("exists.txt", "w").write("content")
bt.initialize(os.environ["URL"] + "/post?format=json&token=TOKEN", attributes={"application": "example"},
    attachments=["exists.txt", "missing.txt", "/"], timeout=30, exit_timeout=30)
with reporting(): fail()
bt.send_report("test message")
fail()
""",
    ),
    "attachments in order": (
        2,
        """
for name in "abc":
    open(name + ".bin", "wb").write(bytes(range(256)) + name.encode())
open("empty", "w")
initialize(attachments=["c.bin"])
report = bt.BacktraceReport()
report.add_attachment("b.bin")
report.get_attachments().append("empty")
report.set_attribute("error.message", "sent by the client")
assert client.send(report, ["a.bin"]) is True
bt.send_report("the client's alone")
""",
    ),
    "attachments added to the client's": (
        2,
        """
open("a.txt", "w").write("a")
initialize()
client.globs.attachments.append("a.txt")
bt.send_report("one")
initialize(attachments=(files := []))
files.append("a.txt")
bt.send_report("two")
print(client.globs.attachments, client.globs.debug_backtrace, client.globs.endpoint.removeprefix(URL))
""",
    ),
    "an attachment that has no size": (1, "initialize(attachments=['/proc/version'])\nbt.send_report('kernel')"),
    "a large attachment": (
        1,
        "open('large.bin', 'wb').write(bytes(range(256)) * 20_000)\ninitialize(attachments=['large.bin'])\n"
        "bt.send_report('large')",
    ),
    "values of all kinds": (
        1,
        """
import collections, decimal
Point = collections.namedtuple("Point", "x y")
class Text(str): pass
initialize()
report = bt.BacktraceReport()
report.set_dict_attributes({"nan": float("nan"), "inf": float("-inf"), "large": 2**60, "just": 2**53, "minus": -2**53,
    "exact": 2**53 - 1, "none": None, "yes": True, "text": Text("é\\u2028 \\U0001f600"), "float": 0.1})
report.set_dict_annotations({"tuple": (1, (2,)), "point": Point(1, 2), "decimal": decimal.Decimal("1.5"),
    "bytes": "é".encode(), "keys": {1: 1, None: 2, True: 3, 1.5: 4}, "empty": [{}, [], "", ()],
    "ordered": collections.OrderedDict(b=1, a=2), "large": [2**60]})
report.send()
""",
    ),
    "a syntax error": (1, "initialize()\nwith reporting(): compile('a b', 'theirs.py', 'exec')"),
    "chained": (
        1,
        FAIL + "initialize()\ndef wrap():\n    try: fail()\n    except ValueError as error:\n"
        "        raise LookupError('lost') from error\nwith reporting(): wrap()",
    ),
    "suppressed": (
        1,
        FAIL + "initialize()\ndef wrap():\n    try: fail()\n    except ValueError:\n"
        "        raise LookupError('lost') from None\nwith reporting(): wrap()",
    ),
    "odd local variables": (
        1,
        "class Unshowable:\n    def __repr__(self): raise RuntimeError\ninitialize()\n"
        "def fail(odd=Unshowable(), password='hunter2', long='x' * 10000):\n"
        + "".join(f"    name{number} = {number}\n" for number in range(60))
        + "    raise KeyError('locals')\nwith reporting(): fail()",
    ),
    "secrets stay where they are": (1, "initialize()\nbt.send_report('password=hunter2 4111 1111 1111 1111')"),
    "another thread fails": (
        1,
        FAIL + "initialize()\ndef work():\n    with reporting(): fail()\n"
        "thread = threading.Thread(target=work, name='my worker')\nthread.start()\nthread.join()",
    ),
    "other threads are shown": (
        1,
        """
initialize()
ready, done = threading.Event(), threading.Event()
def wait_here():
    ready.set(); os.read(pipe, 1)
pipe, other = os.pipe()
thread = threading.Thread(target=wait_here, name="waits")
thread.start()
ready.wait()
bt.send_report("threads")
os.write(other, b".")
thread.join()
""",
    ),
    "finalize": (
        1,
        FAIL + "bt.finalize()\ninitialize()\nbt.send_report('before')\nbt.finalize()\nbt.finalize()\n"
        "bt.send_report('after')\nassert client.send(bt.BacktraceReport()) is False\nfail()",
    ),
    "nothing before initialize": (
        0,
        "bt.send_report('early')\nwith reporting(): raise ValueError\nreport = bt.BacktraceReport()\nreport.send()\n"
        "bt.finalize()\nprint(client.send(report), client.send(report, ['program.py']))\n"
        "client.create_and_send_report(ValueError, ValueError('early'), None)\nprint(client.get_annotations())\n"
        "client.set_attribute('later', 1)\nclient.set_attributes({'too': 2})\nprint(client.get_attributes()['later'])",
    ),
    "a report made before initialize": (
        1,
        "report = bt.BacktraceReport()\nreport.set_attribute('error.message', 'early')\ninitialize()\nreport.send()",
    ),
    "the hook as a function": (
        2,
        FAIL + "initialize(disable_global_handler=True)\nclass calling:\n    def __enter__(self): pass\n"
        "    def __exit__(self, *error):\n        client.create_and_send_report(*error)\n        return True\n"
        "with calling(): fail()\nbt.send_report('and a message')",
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_reports_arrive(name: str, tmp_path: Path) -> None:
    """Same URL, attachments, keys and values; the program prints and ends as before."""
    count, program = PROGRAMS[name]
    theirs = run_with(ORIGINAL, program, tmp_path / "program", reports=count)
    ours = run_with(DROP_IN, program, tmp_path / "program", reports=count)
    assert (ours.status, ours.stdout, ours.stderr) == (theirs.status, theirs.stdout, theirs.stderr)
    assert len(theirs.reports) == count, theirs.stderr
    assert _text(in_order(ours)) == _text(in_order(theirs))


def test_debug_options_change_output_and_no_report(tmp_path: Path) -> None:
    """Guide 6, the last of its options: both say something of each report on standard error, and the traceback."""
    program = FAIL + "initialize(debug_backtrace=True)\nbt.send_report('one')\nfail()"
    outcomes = [run_with(package, program, tmp_path / "program", reports=2) for package in (ORIGINAL, DROP_IN)]
    assert len({_text(in_order(outcome)) for outcome in outcomes}) == 1
    for outcome in outcomes:
        assert "Traceback (most recent call last):\n" in outcome.stderr
        assert outcome.stderr.count("ValueError: no 3\n") == outcome.status == 1
    assert outcomes[0].stderr.count("Report available") == 2
    assert outcomes[1].stderr.count("is safe in the spool") == 2


def _text(reports: list[dict[str, object]]) -> str:
    return json.dumps(reports, indent=1, sort_keys=True, default=repr)
