"""The promise: whichever way the flusher is run, what was captured arrives, and the program is held up by none of it.

The rules by which the way is chosen are in tests/unit/launch, real servers in tests/servers.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import time
from pathlib import Path

import pytest

import lastword
from lastword.audit.accounts import read_accounts
from lastword.flusher.strikes import InFlight
from lastword.spool import start
from lastword.spool.layout import Layout
from lastword.spool.lock import holder
from lastword.spool.start import StartState
from lastword.testing import LoopbackTracker
from tests.support import needs
from tests.support.programs import (
    Program,
    removed_afterwards,
    run,
    wait_for_accounts,
    wait_until,
    wait_until_no_flusher,
)
from tests.support.promise import Section, promise
from tests.support.second_user import ROOT, VICTIM, open_ground

LIBC_FORK = needs.capability(hasattr(ctypes, "PyDLL"), "a fork that runs no hook of Python's")

CAPTURE = "acked(lastword.capture_message('hello'))\n"
#: An end that waits for something waits for longer than any test does.
FOR_EVER = "3600"


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program whose end waits for as long as it takes."""
    monkeypatch.setenv("LASTWORD_SHUTDOWN_TIMEOUT", FOR_EVER)


@promise(
    Section.FLUSHER_MODES,
    "The end of a program waits for delivery, up to a limit",
    broken_by="no wait; health ignored; no deadline",
)
@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("mode", ["process", "thread"])
def test_script_ends_only_when_its_events_have_arrived(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a flush: the end of the process waits until all is settled, and no longer."""
    monkeypatch.setenv("LASTWORD_FLUSHER", mode)
    with LoopbackTracker() as tracker:
        run(CAPTURE, spool=tmp_path / "spool", dsn=tracker.dsn)
        assert len(tracker.events) == 1
        assert read_accounts(tmp_path / "spool").delivered == 1
        wait_until_no_flusher(tmp_path / "spool")
        # Or it would look to the next flusher as if an event had killed this one.
        assert InFlight.load(Layout(str(tmp_path / "spool"))).sending == []


@pytest.mark.parametrize(
    ("variable", "value"), [("LASTWORD_FLUSHER", "external"), ("AWS_LAMBDA_FUNCTION_NAME", "function")]
)
def test_flush_sends_where_no_flusher_is_started(
    variable: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the calling thread; the end of the process starts no flusher and waits for none."""
    monkeypatch.setenv(variable, value)
    monkeypatch.setenv("LASTWORD_SHUTDOWN_TIMEOUT", FOR_EVER)
    body = CAPTURE + "acked(str(lastword.flush(30)))\n" + CAPTURE + "acked(str(threading.active_count()))\n"
    with LoopbackTracker() as tracker:
        told = run(body, spool=tmp_path / "spool", dsn=tracker.dsn)
        assert told[1] == "True"
        assert len(tracker.events) == 1
        assert holder(Layout(str(tmp_path / "spool")).flusher_lock) is None
    assert read_accounts(tmp_path / "spool").held == 1


@pytest.mark.parametrize("mode", ["thread", "external"])
def test_without_requests_events_are_kept_and_the_program_is_warned(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failed import raises nothing: captures are safe, and flush returns False."""
    monkeypatch.setenv("LASTWORD_FLUSHER", mode)
    body = "sys.modules['requests'] = None\n" + CAPTURE + "acked(str(lastword.flush(0.5)))\n"
    with LoopbackTracker() as tracker, Program(body, spool=tmp_path / "spool", dsn=tracker.dsn) as program:
        told, trouble = program.process.communicate(timeout=60)
    assert told.split()[1:] == ["False"]
    assert "Traceback" not in trouble
    assert trouble.count("nothing sends events") == 1
    assert read_accounts(tmp_path / "spool").held == 1


def test_a_flush_that_sends_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracker that does not answer costs no more than the time that was given, and the event is kept."""
    monkeypatch.setenv("LASTWORD_FLUSHER", "external")
    with LoopbackTracker() as tracker:
        tracker.be_slow(60.0)
        told = run(CAPTURE + "acked(str(lastword.flush(0.5)))\n", spool=tmp_path / "spool", dsn=tracker.dsn)
    assert told[1] == "False"
    assert read_accounts(tmp_path / "spool").held == 1


@promise(Section.FLUSHER_MODES, "The end of a program waits for delivery, up to a limit")
@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("trouble", ["down", "misconfigured"])
def test_end_of_program_does_not_wait_for_an_unreachable_tracker(trouble: str, tmp_path: Path) -> None:
    """As soon as the flusher has found out, the process goes; what it captured stays."""
    with LoopbackTracker() as tracker, removed_afterwards(tmp_path / "spool") as spool:
        if trouble == "down":
            tracker.go_down()
        else:
            tracker.answer(401)
        run(CAPTURE, spool=spool, dsn=tracker.dsn)
        assert read_accounts(spool).held == 1


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("body", ["", "lastword.init(os.environ['TEST_DSN'], flusher='hold')\n" + CAPTURE])
def test_end_of_program_with_nothing_to_send_waits_for_nothing(body: str, tmp_path: Path) -> None:
    """Nothing captured, or nothing to be sent."""
    with LoopbackTracker() as tracker:
        tracker.go_down()
        run(body, spool=tmp_path / "spool", dsn=tracker.dsn)


@promise(Section.FLUSHER_MODES, "The end of a program waits for delivery, up to a limit")
def test_end_of_program_waits_at_most_shutdown_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a slow tracker; the flusher goes on afterwards."""
    monkeypatch.setenv("LASTWORD_SHUTDOWN_TIMEOUT", "0.2")
    with LoopbackTracker() as tracker:
        tracker.be_slow(2.0)
        run(CAPTURE, spool=tmp_path / "spool", dsn=tracker.dsn)
        assert read_accounts(tmp_path / "spool").held == 1
        wait_for_accounts(tmp_path / "spool", lambda accounts: accounts.delivered == 1, "the flusher's account")
        wait_until_no_flusher(tmp_path / "spool")
        assert len(tracker.events) == 1


@pytest.mark.usefixtures("patient")
def test_a_forked_child_waits_for_its_own_events_alone(tmp_path: Path) -> None:
    """A child without events that runs its parent's exit handlers does not wait for the parent's events."""
    body = """
lastword.init(os.environ["TEST_DSN"], flusher="external", shutdown_timeout=3600)
acked(lastword.capture_message("the parent's"))
pid = os.fork()
if pid == 0:
    sys.exit(0)
acked(str(os.waitpid(pid, 0)[1]))
"""
    with LoopbackTracker() as tracker:
        assert run(body, spool=tmp_path / "spool", dsn=tracker.dsn)[-1] == "0"


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    "obstacle",
    ["sys.frozen = True", "sys.executable = sys._base_executable = ''; sys.exec_prefix = '/nonexistent'"],
)
def test_where_no_python_can_be_started_a_thread_delivers(obstacle: str, tmp_path: Path) -> None:
    """A frozen program, and one that embeds Python: nothing has to be configured."""
    body = f"{obstacle}\nlastword.init(os.environ['TEST_DSN'], spool=os.environ['TEST_SPOOL'])\n" + CAPTURE
    with LoopbackTracker() as tracker:
        run(body, spool=tmp_path / "spool", dsn=tracker.dsn)
        assert len(tracker.events) == 1


@pytest.mark.usefixtures("patient")
def test_after_three_failed_starts_a_thread_delivers_with_one_warning(tmp_path: Path) -> None:
    """Three starts have failed before: the next event is sent all the same."""
    layout = Layout(str(tmp_path / "spool"))
    layout.prepare()
    start.store(layout, StartState(failures=3))
    body = CAPTURE + CAPTURE + "assert lastword.flush(30)\n"
    with LoopbackTracker() as tracker, Program(body, spool=tmp_path / "spool", dsn=tracker.dsn) as program:
        _, trouble = program.process.communicate(timeout=60)
        assert len(tracker.events) == 2
    assert trouble.count("a thread of this process sends events") == 1


@promise(
    Section.FLUSHER_MODES,
    "A slow start is waited for",
    broken_by="`helper.lock` not checked; not released by the leader",
)
def test_slow_start_of_a_flusher_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that is busy: however many captures come meanwhile, nothing else is started and nothing is said."""
    layout, go, installed = Layout(str(tmp_path / "spool")), tmp_path / "go", tmp_path / "installed"
    ours = Path(lastword.__file__).parent
    shutil.copytree(ours, installed / "lastword", ignore=shutil.ignore_patterns("__pycache__"))
    sender = installed / "lastword" / "transport" / "http_sender.py"  # which the flusher alone imports
    sender.write_text(f"{sender.read_text()}\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n")
    monkeypatch.setenv("PYTHONPATH", str(installed))
    monkeypatch.setenv("LASTWORD_SHUTDOWN_TIMEOUT", "0")
    body = "for line in sys.stdin: acked(lastword.capture_message(line.strip()))"
    with LoopbackTracker() as tracker, Program(body, spool=tmp_path / "spool", dsn=tracker.dsn) as program:
        program.tell("first")
        program.line()
        wait_until(lambda: holder(layout.helper_lock), "the helper")
        overdue = StartState(3, time.time() - 1.0)
        start.store(layout, overdue)
        for _ in range(5):
            program.tell("more")
            program.line()
        assert start.load(layout) == overdue
        assert len(os.listdir(f"/proc/{program.process.pid}/task")) == 1
        go.touch()
        tracker.wait_for(6)
        wait_until(lambda: holder(layout.helper_lock) is None, "the helper's letting go of its lock, as it leads")
        assert program.end() == []
        wait_until_no_flusher(tmp_path / "spool")
    assert start.load(layout) == StartState()


@pytest.mark.usefixtures("patient")
def test_where_processes_are_forbidden_captures_go_on_and_flush_sends(tmp_path: Path) -> None:
    """A container whose rules allow no new process: one warning, nothing is waited for, and `flush` sends."""
    body = """
import posix
def forbidden(*args, **options):
    raise PermissionError(1, "Operation not permitted")
posix.fork = forbidden
if hasattr(posix, "posix_spawn"):
    posix.posix_spawn = forbidden
acked(lastword.capture_message("one"))
acked(lastword.capture_message("two"))
acked(str(lastword.flush(30)))
acked(lastword.capture_message("three"))
"""
    with LoopbackTracker() as tracker, Program(body, spool=tmp_path / "spool", dsn=tracker.dsn) as program:
        told, trouble = program.process.communicate(timeout=60)
        assert told.split()[2] == "True"
        assert {event.message for event in tracker.events} >= {"one", "two"}
    assert "Traceback" not in trouble
    assert trouble.count("Operation not permitted") == 1


@ROOT
@pytest.mark.usefixtures("patient")
def test_without_processes_and_threads_the_calling_thread_sends() -> None:
    """A user at the limit of processes: events are kept, and sent at the end without a flush."""

    body = f"""
import resource
import lastword.flusher.in_program  # while this user's Python can be read
os.setgroups([]); os.setgid({VICTIM}); os.setuid({VICTIM})
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
{CAPTURE}
acked(str(lastword.flush(30)))
{CAPTURE}
"""
    with open_ground() as ground, LoopbackTracker() as tracker:
        (ground / "own").mkdir()
        os.chown(ground / "own", VICTIM, VICTIM)
        assert run(body, spool=ground / "own" / "spool", dsn=tracker.dsn)[1] == "True"
        assert len(tracker.events) == 2


def test_a_hostile_working_directory_does_not_reach_the_flusher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modules that lie about where the program was started are not what the flusher imports."""
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    for name in ("requests", "urllib3", "psutil", "json", "lastword_", "sitecustomize", "usercustomize"):
        (hostile / f"{name}.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'a').write({name!r})\n")
    monkeypatch.setenv("PYTHONSTARTUP", str(hostile / "json.py"))
    body = "os.chdir(os.environ['HOSTILE']); sys.path.insert(0, ''); os.environ['PYTHONPATH'] = os.getcwd()\n" + CAPTURE
    monkeypatch.setenv("HOSTILE", str(hostile))
    with LoopbackTracker() as tracker:
        run(body, spool=tmp_path / "spool", dsn=tracker.dsn)
        tracker.wait_for(1)
        wait_until_no_flusher(tmp_path / "spool")
    assert not (tmp_path / "executed").exists()


def test_only_the_leading_process_has_a_thread_and_forks_do_not_warn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In thread mode one process has the thread; a server that captured nothing forks as if we were not there, even
    where an earlier one has left something to send.
    """
    monkeypatch.setenv("LASTWORD_FLUSHER", "external")
    monkeypatch.setenv("PYTHONWARNINGS", "error::DeprecationWarning")
    body = """
def threads():
    return str(len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1)

def worker(name, stays):
    pid = os.fork()
    if pid == 0:
        os.close(mine)
        acked(lastword.capture_message(name))
        assert lastword.flush(30)
        acked(threads())
        stays and os.read(theirs, 1)
        os._exit(0)
    return pid

theirs, mine = os.pipe()
acked(threads())
first = worker("first", stays=True)
sys.stdin.readline()
os.waitpid(worker("second", stays=False), 0)
acked(threads())
os.close(mine)
os.waitpid(first, 0)
"""
    with LoopbackTracker() as tracker:
        run(CAPTURE, spool=tmp_path / "spool", dsn=tracker.dsn)
        monkeypatch.setenv("LASTWORD_FLUSHER", "thread")
        with Program(body, spool=tmp_path / "spool", dsn=tracker.dsn) as program:
            in_server_before = program.line()
            program.line()
            program.line()  # as many as it takes to send
            program.tell("it leads")
            program.line()
            in_second, in_server_after = program.line(), program.line()
            program.end()
        assert (in_server_before, in_second, in_server_after) == ("1", "1", "1")
        assert sorted(event.message for event in tracker.events) == ["first", "hello", "second"]


@pytest.mark.parametrize(
    "way", ["os.fork()", pytest.param("__import__('ctypes').PyDLL(None).fork()", marks=LIBC_FORK, id="fork in C")]
)
def test_forked_child_starts_its_own_thread_to_lead(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork takes no thread along: the child sees it by its pid, hook or no hook, and begins its own.

    ``PyDLL`` keeps the interpreter lock: otherwise another thread may hold it at the fork, and the child hangs.
    """
    monkeypatch.setenv("LASTWORD_FLUSHER", "thread")
    body = f"""
acked(lastword.capture_message("parent"))
assert lastword.flush(30)
ready, told = os.pipe()
if {way} == 0:
    os.close(told)
    os.read(ready, 1)
    acked(lastword.capture_message("child"))
    assert lastword.flush(30)
    os._exit(0)
die()
"""
    with LoopbackTracker() as tracker:
        run(body, spool=tmp_path / "spool", dsn=tracker.dsn)
        tracker.wait_for(2)
        assert [event.message for event in tracker.events] == ["parent", "child"]
        wait_until_no_flusher(tmp_path / "spool")


@promise(Section.FLUSHER_MODES, "A wrong key is reported at the next start", broken_by="no note")
def test_wrong_key_is_logged_at_the_next_start(tmp_path: Path) -> None:
    """Captures succeed all the same: one warning names the tracker and not the key."""
    with LoopbackTracker() as tracker, removed_afterwards(tmp_path / "spool") as spool:
        tracker.answer(401)
        with Program(CAPTURE, spool=spool, dsn=tracker.dsn) as program:
            assert "seems to be wrong" not in program.process.communicate(timeout=60)[1]
        wait_for_accounts(spool, lambda accounts: in_trouble(spool), "the tracker's verdict")
        with Program("", spool=spool, dsn=tracker.dsn) as program:
            _, said = program.process.communicate(timeout=60)
        assert said.count("seems to be wrong") == 1
        assert f"127.0.0.1:{tracker.port}" in said
        assert "loopback-token" not in said


def in_trouble(spool: Path) -> bool:
    return any(health.misconfigured for health in read_accounts(spool).destinations.values())
