"""Process, thread, machine and interpreter: those of the capture, also in a forked child."""

from __future__ import annotations

import _thread
import json
import multiprocessing
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lastword.assembly import message_event
from lastword.capture import CaptureSettings, process
from lastword.capture.process import host_info, process_info, read_table, runtime_info, thread_info
from lastword.event import Needs
from lastword.scrub import is_sensitive
from tests.support import needs

DEADLINE = 30.0

needs_proc = needs.capability(Path("/proc/self/stat").exists(), "/proc")
needs_fork = needs.capability(hasattr(os, "fork"), "os.fork")


def in_forked_child(make: Callable[[], Any]) -> Any:
    """What ``make`` returns in a child of this process, made by a plain fork."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, json.dumps(make()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        answer = file.read()
    os.waitpid(child, 0)
    return json.loads(answer)


def capture() -> Any:
    settings = CaptureSettings(needs=Needs(memory=True), is_sensitive=is_sensitive)
    return message_event("hello", level="info", settings=settings)


def test_the_session_is_the_same_for_all_events_of_a_process() -> None:
    """Trackers count sessions by it."""
    first, second = process_info(with_status=False), process_info(with_status=False)
    assert first["session"] == second["session"]
    assert [len(part) for part in first["session"].split("-")] == [8, 4, 4, 4, 12]
    assert first["pid"] == os.getpid()
    assert first["program"] == sys.argv[0]
    assert first["name"] == "MainProcess"


@needs_proc
def test_the_age_counts_from_the_start_of_the_process() -> None:
    """Not from the import of lastword, nor from the first event: a child late to its first event is not new."""
    ticks = os.sysconf("SC_CLK_TCK")
    started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / ticks
    before = time.clock_gettime(time.CLOCK_BOOTTIME) - started
    age = process_info(with_status=False)["age"]
    after = time.clock_gettime(time.CLOCK_BOOTTIME) - started
    assert before <= age <= after


@needs_fork
def test_a_forked_child_has_its_own_identity() -> None:
    """By its pid, without any hook: pid, session, age and event id are the child's."""
    parent = capture()
    child = in_forked_child(capture)
    assert child["process"]["pid"] not in (parent["process"]["pid"], None)
    assert child["process"]["session"] != parent["process"]["session"]
    assert child["process"]["age"] <= parent["process"]["age"] or not Path("/proc/self/stat").exists()
    assert child["id"] != parent["id"]
    assert child["host"]["machine_id"] == parent["host"]["machine_id"]


@needs_fork
def test_a_child_of_multiprocessing_is_called_as_it_calls_itself() -> None:
    """The name that its parent gave it, not the parent's own."""
    process_info(with_status=False)
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sending.send(process_info(with_status=False)["name"]), name="worker-7")
    child.start()
    assert receiving.poll(DEADLINE)
    assert receiving.recv() == "worker-7"
    child.join(DEADLINE)


@needs_proc
def test_process_has_its_parent_name_and_memory() -> None:
    """As the kernel has them."""
    info = process_info(with_status=False)
    assert info["parent"] == os.getppid()
    assert info["command"] == Path("/proc/self/comm").read_text().strip()
    assert 1 << 20 < info["memory"] < 1 << 40


@needs.capability(sys.implementation.name == "cpython", "memory that is given back at once")
@needs_proc
@needs_fork
def test_a_forked_child_has_a_parent_and_memory_of_its_own() -> None:
    """Nothing that was read of the parent is taken for the child's."""
    block = bytearray(b"x" * (64 << 20))
    parent = process_info(with_status=False)
    del block

    def after_the_fork() -> Any:
        return process_info(with_status=False)

    child = in_forked_child(after_the_fork)
    assert child["parent"] == os.getpid()
    assert child["memory"] < parent["memory"]


def test_memory_is_read_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading it costs as much as a small capture."""
    read: list[int] = []

    def resident() -> int:
        read.append(1)
        return len(read)

    now = [1000.0]
    monkeypatch.setattr(process, "_memory", (-1, 0.0, 0))
    monkeypatch.setattr(process, "_resident_memory", resident)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    seen = []
    for passed in (0.0, 0.5, 0.4, 0.2, 0.9, 0.2):
        now[0] += passed
        seen.append(process_info(with_status=False)["memory"])
    assert seen == [1, 1, 1, 2, 2, 3]


def test_main_thread_is_known_by_identity() -> None:
    """Not by its name."""
    seen: list[Any] = []
    thread = threading.Thread(target=lambda: seen.append(thread_info()), name="MainThread")
    thread.start()
    thread.join(DEADLINE)
    assert (seen[0]["name"], seen[0]["main"], seen[0]["id"]) == ("MainThread", False, thread.ident)
    assert thread_info() == {"id": threading.get_ident(), "name": threading.current_thread().name, "main": True}


def test_a_thread_that_threading_does_not_know_leaves_no_trace() -> None:
    """``current_thread()`` would register a dummy for it, which is never removed."""
    seen: list[Any] = []
    done = threading.Event()

    def run() -> None:
        seen.append(thread_info())
        seen.append([thread.ident for thread in threading.enumerate()])
        done.set()

    _thread.start_new_thread(run, ())
    assert done.wait(DEADLINE)
    info, known = seen
    assert info["name"] == f"Thread-{info['id']}"
    assert info["id"] not in known


@pytest.mark.parametrize("name", [5, None, "x" * 5000])
def test_an_odd_thread_name_is_no_obstacle(name: Any) -> None:
    """Any object can be set as a name."""
    seen: list[Any] = []

    def run() -> None:
        threading.current_thread()._name = name  # type: ignore[attr-defined]
        seen.append(thread_info())

    thread = threading.Thread(target=run)  # which from 3.14 on does not start with another name than a text
    thread.start()
    thread.join(DEADLINE)
    assert isinstance(seen[0]["name"], str)
    assert len(seen[0]["name"]) <= 200


@pytest.mark.parametrize("arguments", [[], [5], ["x" * 5000]])
def test_an_odd_argv_is_no_obstacle(arguments: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Embedded interpreters have none, and programs put anything there."""
    monkeypatch.setattr(sys, "argv", arguments)
    assert len(process_info(with_status=False)["program"]) <= 1024


def test_the_interpreter_is_named_as_people_name_it() -> None:
    """CPython 3.11.7, not cpython."""
    info = runtime_info()
    assert info["name"] in ("CPython", "PyPy")
    assert info["version"] == ".".join(map(str, sys.version_info[:3]))
    assert info["release_level"] == sys.version_info.releaselevel


def test_machine_is_described_by_uname() -> None:
    """With uname's own names."""
    info, uname = host_info(with_memory=False), os.uname()
    assert info["hostname"] == socket.gethostname()
    assert (info["sysname"], info["release"], info["machine"]) == (uname.sysname, uname.release, uname.machine)
    assert info["memory"] == {}


@pytest.mark.parametrize(
    ("dbus", "systemd", "expected"),
    [
        ("AB12 cd\nsecond line\n", "ffff\n", "ab12cd"),
        (None, "FFFF\n", "ffff"),
        ("\n", "ffff\n", "ffff"),
        ("", "", "myhost"),
        (None, None, "myhost"),
    ],
)
def test_the_machine_id_is_read_from_dbus_then_systemd_then_the_hostname(
    dbus: str, systemd: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First line, no white space, lower case; an empty file counts as none."""
    for name, content in (("dbus", dbus), ("systemd", systemd)):
        if content is not None:
            (tmp_path / name).write_text(content)
    monkeypatch.setattr(process, "_MACHINE_ID_FILES", (str(tmp_path / "dbus"), str(tmp_path / "systemd")))
    assert process._machine_id("My Host") == expected


def test_kernel_table_gives_sizes_in_bytes_and_named_counts(tmp_path: Path) -> None:
    """Capability masks and ids look like numbers and are skipped."""
    (tmp_path / "status").write_text(
        "Name:\tpython\nVmRSS:\t  12 kB\nFDSize:\t64\nThreads:\t3\n"
        "CapInh:\t0000000000000000\nUid:\t0\t0\nbroken\nX: kB\n"
    )
    assert read_table(str(tmp_path / "status"), counts=frozenset({b"FDSize"})) == {"VmRSS": 12288, "FDSize": 64}
    assert read_table(str(tmp_path / "missing")) == {}


@needs_proc
def test_memory_is_read_only_if_the_format_wants_it(settings: CaptureSettings) -> None:
    """Reading it costs two files of /proc for each event."""
    with_memory, without = capture(), message_event("hello", level="info", settings=settings)
    assert with_memory["host"]["memory"]["MemTotal"] > 1 << 20
    assert with_memory["process"]["status"]["VmRSS"] > 1 << 20
    assert {"FDSize", "voluntary_ctxt_switches"} <= set(with_memory["process"]["status"])
    assert (without["host"]["memory"], without["process"]["status"]) == ({}, {})
