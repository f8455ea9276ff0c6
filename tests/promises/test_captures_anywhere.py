"""The promise: whatever the program is in the middle of, a capture there does not hang, raise, or go on for ever."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from lastword.audit.accounts import read_accounts
from tests.support import needs
from tests.support.programs import recorded, recorded_ids, run
from tests.support.promise import Section, promise

#: Where a capture is made → the program, which says by ``acked`` what it was promised.
PLACES = {
    "in the text of an exception that is captured": """
class Odd(Exception):
    def __str__(self):
        acked(lastword.capture_message("inside"))
        return "odd"
try: raise Odd
except Odd: acked(lastword.capture_exception())
""",
    "in a repr": """
class Odd:
    def __repr__(self):
        try: raise ValueError("inside")
        except ValueError: acked(lastword.capture_exception())
        return "odd"
repr(Odd())
def fail(odd): raise KeyError
try: fail([Odd()])
except KeyError: acked(lastword.capture_exception())
""",
    "in a finalizer": """
class Odd:
    def __del__(self):
        acked(lastword.capture_message("inside"))
        raise ValueError("heard of by the hook")
sys.unraisablehook = lambda arguments: None
lastword.init(spool=os.environ["TEST_SPOOL"], flood_burst=0)
for _ in range(20):
    odd = Odd()
    odd.itself = odd  # for the collector to find, in whatever capture that is
    acked(lastword.capture_message("outside"))
import gc; gc.collect()
""",
    "in a signal handler": """
handled = inside = 0  # by the clock alone, handlers would leave a slow machine no time for anything else
def come_again():
    if handled < 100:
        signal.setitimer(signal.ITIMER_REAL, 0.005)
def handle(*_):
    global handled, inside
    handled += 1
    inside += 1
    innermost = inside == 3
    if not innermost: come_again()
    acked(lastword.capture_message("inside"))
    logging.getLogger("shop").warning("inside")
    inside -= 1
    if innermost: come_again()
import logging
logging.getLogger().addHandler(logging.NullHandler())
signal.signal(signal.SIGALRM, handle)
come_again()
for _ in range(50):
    acked(lastword.capture_message("outside"))
    try: raise ValueError
    except ValueError: logging.getLogger("shop").exception("outside")
signal.setitimer(signal.ITIMER_REAL, 0)
""",
    "in a logging handler": """
import logging
class Odd(logging.Handler):
    def emit(self, record):
        acked(lastword.capture_message("inside"))
        if record.name != "inner":
            logging.getLogger("inner").error("inside")
logging.getLogger().addHandler(Odd())
logging.getLogger("outer").error("outside")
""",
    "in a record factory and in a filter": """
import logging
before = logging.getLogRecordFactory()
def make(*arguments, **options):
    acked(lastword.capture_message("inside"))
    return before(*arguments, **options)
logging.setLogRecordFactory(make)
logging.getLogger("a").addFilter(lambda record: acked(lastword.capture_message("inside")) or True)
logging.getLogger("a").error("outside")
""",
    "in an audit hook": """
within = []
def hear(name, arguments):
    if name == "open" and not within:
        within.append(1)
        acked(lastword.capture_message("inside"))
        within.clear()
sys.addaudithook(hear)
open(os.devnull).close()
acked(lastword.capture_message("outside"))
""",
    "in a trace function": """
def trace(frame, event, argument):
    if event == "return" and frame.f_code.co_name == "work":
        acked(lastword.capture_message("inside"))
    return trace
def work(): pass
sys.settrace(trace); work(); sys.settrace(None)
""",
    "at the end": """
import atexit
class Late:
    def __del__(self):
        event_id = lastword.capture_message("late")  # acknowledged or not: the interpreter is being taken apart
        if event_id is not None:
            os.write(1, (event_id + "\\n").encode())
late = Late()
atexit.register(lambda: acked(lastword.capture_message("atexit")))
lastword.init(spool=os.environ["TEST_SPOOL"])
atexit.register(lambda: acked(lastword.capture_message("atexit, before us")))
""",
    "in threads that outlive the program": """
def work():
    while True:
        lastword.capture_message("thread")
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
acked(lastword.capture_message("outside"))
""",
    "while another thread holds the import lock": """
import _imp, gc, importlib
# PyPy collects the locks of finished imports late, and importlib's callback for that waits for the import lock.
while importlib._bootstrap._module_locks:
    gc.collect()
held, done = threading.Event(), threading.Event()
def hold():
    _imp.acquire_lock()
    held.set()
    done.wait()
    _imp.release_lock()
threading.Thread(target=hold, daemon=True).start()
held.wait()
acked(lastword.capture_message("outside"))
try: raise ValueError
except ValueError: acked(lastword.capture_exception())
done.set()
""",
    "while a module is imported": """
import pathlib
here = pathlib.Path(os.environ["TEST_SPOOL"]).parent
(here / "odd.py").write_text('''
import lastword, threading
try: raise ValueError
except ValueError: first = lastword.capture_exception()
found = []
thread = threading.Thread(target=lambda: found.append(lastword.capture_message("thread")))
thread.start(); thread.join(30)
second, = found
''')
sys.path.insert(0, str(here))
import odd
acked(odd.first); acked(odd.second)
""",
}


@promise(Section.FAILURES, "A capture is kept wherever it is made", broken_by="an import during the capture")
@pytest.mark.parametrize("place", PLACES)
def test_a_capture_is_kept_wherever_it_is_made(place: str, tmp_path: Path) -> None:
    """All that was acknowledged is there, and nothing was refused; ``run`` fails at a traceback, and without an end."""
    acked = run(PLACES[place], spool=tmp_path / "spool")
    assert acked
    assert len(acked) == len(set(acked))
    assert set(acked) <= set(recorded_ids(tmp_path / "spool"))
    assert read_accounts(tmp_path / "spool").refused == {}


ENDLESS = {
    "an exception's text captures itself": """
class Odd(Exception):
    def __str__(self):
        lastword.capture_exception(Odd())
        return "odd"
lastword.capture_exception(Odd())
""",
    "an exception's text logs itself": """
import logging
class Odd(Exception):
    def __str__(self):
        logging.getLogger("shop").error("odd", exc_info=Odd())
        return "odd"
logging.getLogger().addHandler(logging.NullHandler())  # whose formatter would never end either
lastword.capture_exception(Odd())
""",
    "a message logs itself": """
import logging
class Odd:
    def __str__(self):
        logging.getLogger("shop").error(self)
        return "odd"
logging.getLogger().addHandler(logging.NullHandler())
logging.getLogger("shop").error(Odd())
""",
    "before_send logs": """
import logging
def hook(event):
    logging.getLogger("shop").error("inside")
    return event
lastword.init(spool=os.environ["TEST_SPOOL"], before_send=hook)
logging.getLogger().addHandler(logging.NullHandler())
logging.getLogger("shop").error("outside")
""",
    "a finalizer's failure leaves another": """
class Odd(Exception):
    def __str__(self):
        Leaky()
        return "odd"
class Leaky:
    def __del__(self):
        raise Odd
sys.unraisablehook = lambda arguments: None
lastword.init(spool=os.environ["TEST_SPOOL"])
Leaky()
import gc; gc.collect()
""",
    "an audit hook captures what it causes": """
def hear(name, arguments):
    if name in ("open", "os.mkdir", "os.rename", "sys._getframe"):
        lastword.capture_message("inside")
sys.addaudithook(hear)
lastword.capture_message("outside")
""",
}


@promise(
    Section.FAILURES,
    "Captures that cause captures come to an end",
    broken_by="no limit for captures; the limit for each branch alone; none for log records",
)
@pytest.mark.parametrize("body", ENDLESS.values(), ids=list(ENDLESS))
def test_captures_that_cause_captures_come_to_an_end(body: str, tmp_path: Path) -> None:
    """After a few levels, with an event of the first and every refusal counted."""
    run(body, spool=tmp_path / "spool")
    found = recorded(tmp_path / "spool")
    assert 1 <= len(found) <= 2000
    assert Counter(record.id for record in found).most_common(1)[0][1] == 1
    assert set(read_accounts(tmp_path / "spool").refused) <= {"nested", "before_send", "flood"}


#: Several interpreters in one process, each with an ``init`` of its own; one is there only as long as its task takes.
INTERPRETERS = """
from concurrent import interpreters

def task(spool):
    import lastword
    lastword.init(spool=spool, flusher="hold")
    try:
        raise ValueError("in a task")
    except ValueError:
        return lastword.capture_exception()

spool = os.environ["TEST_SPOOL"]
first, second = interpreters.create(), interpreters.create()
for _ in range(2):
    for interpreter in (first, second):
        acked(interpreter.call(task, spool))
    acked(lastword.capture_message("in the main one"))
first.exec("import sys, threading; sys.stderr = None")
first.exec("thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()")
first.close()
acked(second.call(task, spool))
second.close()
acked(lastword.capture_message("in the main one"))
"""


@promise(Section.FAILURES, "Interpreters of one process write side by side (3.14)", broken_by="writers named by pid")
@needs.capability(sys.version_info >= (3, 14), "Python 3.14, which has interpreters beside the main one")
def test_interpreters_of_one_process_capture_side_by_side(tmp_path: Path) -> None:
    """Each writes as if it were a process of its own, whenever another one comes or goes."""
    acknowledged = run(INTERPRETERS, spool=tmp_path / "spool")
    assert len(acknowledged) == 8
    found = recorded(tmp_path / "spool")
    assert Counter(acknowledged) <= Counter(record.id for record in found)
    assert len(found) == 9  # with that of the thread
    assert len({path.parent for path in (tmp_path / "spool").glob("v1/writers/*/*.seg")}) == 3
    accounts = read_accounts(tmp_path / "spool")
    assert (accounts.recorded, accounts.missing, accounts.refused) == (9, 0, {})
