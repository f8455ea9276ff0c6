"""Which way the flusher runs: each rule, and what is seen of the program and its surroundings."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from lastword.launch import mode
from lastword.launch.mode import Circumstances, Mode, choose, observe, stops_between_calls, threads_run_under
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.FLUSHER_MODES, "Each rule that chooses how the flusher runs is obeyed", broken_by="each rule removed"
)

ORDINARY = Circumstances()


@pytest.mark.parametrize("asked", ["auto", "process"])
def test_an_ordinary_program_is_served_by_a_process(asked: str) -> None:
    """Where a process can be started, it is."""
    choice = choose(asked, ORDINARY)
    assert (choice.mode, choice.remark) == (Mode.PROCESS, "")


@pytest.mark.parametrize("asked", ["process", "thread", "external", "hold"])
@pytest.mark.parametrize(
    "seen", [ORDINARY, Circumstances(is_frozen=True), Circumstances(stops_between_calls=True, has_interpreter=False)]
)
def test_an_explicit_choice_is_obeyed(asked: str, seen: Circumstances) -> None:
    """Without another way behind it."""
    choice = choose(asked, seen)
    assert (choice.mode, choice.if_starts_fail, choice.remark) == (Mode(asked), Mode(asked), "")


@pytest.mark.parametrize("asked", ["auto", "process", "thread", "external", "hold"])
def test_without_a_dsn_nothing_is_sent(asked: str) -> None:
    """There is nowhere to send to."""
    assert choose(asked, Circumstances(has_dsn=False)).mode is Mode.HOLD


@pytest.mark.parametrize("seen", [Circumstances(is_frozen=True), Circumstances(has_interpreter=False)])
def test_where_no_python_can_be_started_a_thread_sends(seen: Circumstances) -> None:
    """A frozen executable would start itself; an embedding program has no interpreter."""
    choice = choose("auto", seen)
    assert (choice.mode, choice.remark) == (Mode.THREAD, "")


def test_failed_starts_lead_to_a_thread_only_in_auto_mode_with_threads() -> None:
    """`auto` has another way behind it."""
    assert choose("auto", ORDINARY).if_starts_fail is Mode.THREAD
    assert choose("auto", Circumstances(threads_run=False)).if_starts_fail is Mode.PROCESS
    assert choose("process", ORDINARY).if_starts_fail is Mode.PROCESS


@pytest.mark.parametrize(
    ("asked", "frozen"),
    [("thread", False), ("auto", True)],
)
def test_events_are_held_with_a_note_where_threads_do_not_run(asked: str, frozen: bool) -> None:
    """Even if a thread was asked for: it would hold the leader's lock without sending."""
    choice = choose(asked, Circumstances(threads_run=False, is_frozen=frozen))
    assert choice.mode is Mode.HOLD
    assert "--enable-threads" in choice.remark
    assert "flusher='external'" in choice.remark


def test_a_process_needs_no_threads_of_the_program() -> None:
    """uWSGI without threads is served by a process, as every other program."""
    assert choose("auto", Circumstances(threads_run=False)).mode is Mode.PROCESS


def test_only_flush_sends_in_functions_as_a_service() -> None:
    """A process or thread would be stopped in the middle of a request, and go on at another call or never."""
    assert choose("auto", Circumstances(stops_between_calls=True)).mode is Mode.IN_FLUSH


@pytest.mark.parametrize(
    ("environ", "stops"),
    [
        ({}, False),
        ({"AWS_LAMBDA_FUNCTION_NAME": "f"}, True),
        ({"FUNCTION_TARGET": "f", "K_SERVICE": "s"}, True),
        ({"K_SERVICE": "s"}, False),  # Cloud Run keeps its containers
    ],
)
def test_functions_as_a_service_are_known_by_their_environment(environ: dict[str, str], stops: bool) -> None:
    """AWS Lambda and Google Cloud Functions."""
    assert stops_between_calls(environ) is stops
    assert observe(True, environ).stops_between_calls is stops


@pytest.mark.parametrize(
    ("uwsgi", "run"),
    [
        (None, True),
        (SimpleNamespace(), True),  # a stub that somebody has installed: this is not uWSGI
        (SimpleNamespace(opt={}), False),
        (SimpleNamespace(opt={b"processes": b"4"}), False),
        (SimpleNamespace(opt={b"enable-threads": True}), True),
        (SimpleNamespace(opt={"enable-threads": True}), True),
        (SimpleNamespace(opt={"threads": b"2"}), True),
        (SimpleNamespace(opt={}, has_threads=1), True),  # from 2.0.31 on, by default
        (SimpleNamespace(opt={b"enable-threads": True}, has_threads=0), False),
    ],
)
def test_uwsgi_says_whether_threads_run(uwsgi: Any, run: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its options, or itself where it can."""
    assert threads_run_under(uwsgi) is run
    monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)
    assert observe(True, {}).threads_run is run


def test_a_sub_interpreter_has_no_threads_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that ends takes its threads down in the midst of what they do."""
    monkeypatch.setattr(mode, "IN_SUBINTERPRETER", True)
    assert not observe(True, {}).threads_run


def test_a_frozen_program_and_one_without_interpreter_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyInstaller and cx_Freeze set `sys.frozen`; other embedders have no Python where it should be."""
    assert observe(True, {}) == ORDINARY
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert observe(True, {}).is_frozen
    monkeypatch.setattr(mode, "find_interpreter", lambda: None)
    assert not observe(False, {}).has_interpreter
    assert not observe(False, {}).has_dsn
