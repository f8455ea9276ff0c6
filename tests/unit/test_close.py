"""``close``: as if lastword had never been, until there is another ``init``."""

from __future__ import annotations

import logging
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

import lastword
from lastword import diagnostics, listener, sdk
from lastword.audit.accounts import read_accounts
from lastword.client import Client
from lastword.testing import LoopbackTracker
from tests.support.programs import recorded, run
from tests.support.promise import Section, promise

pytestmark = [
    pytest.mark.usefixtures("as_in_a_new_process"),
    promise(
        Section.FAILURES,
        "After `close` nothing is reported, and another `init` restores everything",
        broken_by="hooks stay; a new writer for each init; timeout not obeyed; no thread leads any more",
    ),
]


def hooked() -> list[Any]:
    return [
        sys.excepthook,
        threading.excepthook,
        sys.unraisablehook,
        warnings._showwarnmsg_impl,  # type: ignore[attr-defined]
        logging.Logger.filter,
        vars(logging.Logger).get("filter"),
    ]


def test_nothing_is_captured_after_close(tmp_path: Path) -> None:
    """Neither by calls nor by hooks, which are as they were before."""
    before = hooked()
    lastword.init(spool=tmp_path / "spool")
    assert all(now is not then for now, then in zip(hooked(), before))
    assert lastword.capture_message("kept")
    lastword.close()
    assert hooked() == before
    assert lastword.capture_message("closed") is None
    assert lastword.capture_exception(ValueError()) is None
    logging.getLogger("shop").error("closed")
    with pytest.raises(ValueError, match="closed"), lastword.catch():
        raise ValueError("closed")
    assert lastword.flush(0) is False
    assert [record.content["message"] for record in recorded(tmp_path / "spool")] == ["kept"]


def test_closing_twice_or_before_init_is_no_error(tmp_path: Path) -> None:
    """Nor is it in two threads at once."""
    lastword.close()
    lastword.init(spool=tmp_path / "spool")
    threads = [threading.Thread(target=lastword.close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    lastword.close()
    assert sdk.current_client() is None


def test_init_after_close_goes_on_with_the_writer(tmp_path: Path) -> None:
    """A program that opens and closes lastword for each job does not end with a thousand writers."""
    for number in range(3):
        lastword.init(spool=tmp_path / "spool")
        assert lastword.capture_message(str(number))
        lastword.close()
    assert [record.content["message"] for record in recorded(tmp_path / "spool")] == ["0", "1", "2"]
    assert [writer.recorded for writer in read_accounts(tmp_path / "spool").writers] == [3]


def test_a_thread_sends_after_another_init_too(tmp_path: Path) -> None:
    """It has made way for the end of the process, which did not come."""
    with LoopbackTracker() as tracker:
        for count in (1, 2):
            lastword.init(tracker.dsn, spool=tmp_path / "spool", flusher="thread")
            assert lastword.capture_message("hello")
            tracker.wait_for(count)
            lastword.close()


def test_a_hook_on_top_of_ours_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the one below ours is still called."""
    calls: list[str] = []
    monkeypatch.setattr(sys, "excepthook", lambda *_: calls.append("first"))
    lastword.init(spool=tmp_path / "spool")
    ours = sys.excepthook

    def later(*arguments: Any) -> None:
        calls.append("later")
        ours(*arguments)

    sys.excepthook = later
    lastword.close()
    assert sys.excepthook is later
    later(ValueError, ValueError(), None)
    assert calls == ["later", "first"]
    assert not (tmp_path / "spool").exists()


def test_close_delivers_captured_events_first(tmp_path: Path) -> None:
    """A program that closes and then ends in whatever way has lost nothing, and its tracker knows."""
    with LoopbackTracker() as tracker:
        body = 'acked(lastword.capture_message("x")); lastword.close(30); os._exit(0)'
        assert len(run(body, spool=tmp_path / "spool", dsn=tracker.dsn)) == 1
        assert len(tracker.events) == 1


def test_close_waits_at_most_its_timeout(tmp_path: Path) -> None:
    """Where the tracker does not answer; by itself, ``shutdown_timeout``."""
    with_options: list[tuple[dict[str, Any], list[float]]] = [({"shutdown_timeout": 0.2}, []), ({}, [0.2])]
    for options, arguments in with_options:
        lastword.init("booboo+http://t@127.0.0.1:9/o/p", spool=tmp_path / "spool", flusher="thread", **options)
        assert lastword.capture_message("x")
        began = time.monotonic()
        lastword.close(*arguments)
        assert time.monotonic() - began < 1.5


@pytest.mark.parametrize(("owner", "part"), [(Client, "wait_at_end"), (diagnostics, "tell")])
def test_close_never_raises(owner: object, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks, lastword is closed."""

    def broken(*_: object) -> None:
        raise RuntimeError("ours")

    lastword.init(spool=tmp_path / "spool")
    monkeypatch.setattr(owner, part, broken)
    lastword.close()
    assert lastword.capture_message("closed") is None
    monkeypatch.undo()
    listener.uninstall()


def test_a_forked_child_closes_for_itself(tmp_path: Path) -> None:
    """At once, leaving its parent's state alone."""
    body = """
acked(lastword.capture_message("before"))
child = os.fork()
if not child:
    lastword.close(10)
    assert lastword.capture_message("closed") is None
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
acked(lastword.capture_message("after"))
"""
    acked = run(body, spool=tmp_path / "spool")
    assert [record.id for record in recorded(tmp_path / "spool")] == acked
    assert len(acked) == 2


def test_exception_in_catch_is_reported_once_whatever_follows(tmp_path: Path) -> None:
    """Nested, logged, captured: the id is that of its one event."""
    lastword.init(spool=tmp_path / "spool")
    with pytest.raises(KeyError) as raised, lastword.catch(), lastword.catch():
        raise KeyError
    logging.getLogger("shop").error("failed", exc_info=raised.value)
    (record,) = recorded(tmp_path / "spool")
    assert lastword.capture_exception(raised.value) == record.id
    assert record.content["mechanism"] == "catch"
    assert len(recorded(tmp_path / "spool")) == 1


def test_explicit_captures_of_one_exception_are_each_reported(tmp_path: Path) -> None:
    """The program wants two events of one exception."""
    lastword.init(spool=tmp_path / "spool")
    error = KeyError()
    assert lastword.capture_exception(error) != lastword.capture_exception(error)
    assert len(recorded(tmp_path / "spool")) == 2


def test_exc_info_tuple_is_captured_with_its_traceback(tmp_path: Path) -> None:
    """The exception's own may have been cleared in the meantime."""
    lastword.init(spool=tmp_path / "spool")
    try:
        raise KeyError
    except KeyError as error:
        found = sys.exc_info()
        error.__traceback__ = None
    assert lastword.capture_exception(found)
    (record,) = recorded(tmp_path / "spool")
    (frame,) = record.content["exceptions"][0]["frames"]
    assert frame["function"] == "test_exc_info_tuple_is_captured_with_its_traceback"
