"""Whatever a spool's files and names say, and whatever a command is given: only what can be printed is written."""

from __future__ import annotations

import _thread
import gc
import io
import json
import logging
import re
import shutil
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest

from lastword.cli import foreground, main, output
from lastword.errors import SpoolError
from lastword.flusher.loop import Flusher
from lastword.spool.layout import Layout
from lastword.spool.leader import version_of
from tests.support import needs
from tests.support.hostile import ALL, HOSTILE, harm_in
from tests.support.hostile_spool import DSN, events, plant
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.COMMANDS,
    "No content of a spool and no argument of a command steers the terminal or poses as another line",
    broken_by="lines, colours, JSON as they came; no indent; no escape for characters that an encoding lacks",
)

#: Python's own hook, by its name since 3.10 and that of CPython 3.9; PyPy 3.9 has it by none.
OF_THREADS = getattr(threading, "__excepthook__", None) or getattr(
    _thread, "_excepthook", lambda told: traceback.print_exception(*told[:3])
)


class Stream(io.TextIOWrapper):
    """A standard stream, a terminal if it is to be one, whose bytes are kept."""

    def __init__(self, *, terminal: bool, encoding: str = "utf-8") -> None:
        self.written = io.BytesIO()
        super().__init__(self.written, encoding=encoding, write_through=True)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    @property
    def told(self) -> str:
        return self.written.getvalue().decode(self.encoding)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    spool = tmp_path_factory.mktemp("hostile") / "spool"
    return spool, plant(spool)


def say(*arguments: str, terminal: bool = False, encoding: str = "utf-8") -> tuple[str, str]:
    """What a command writes to standard output and standard error, whatever becomes of it."""
    out, err = Stream(terminal=terminal, encoding=encoding), Stream(terminal=False, encoding=encoding)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        try:
            main(list(arguments))
        except SystemExit as ended:
            assert ended.code in (0, 1, 2)
    return out.told, err.told


def looks(spool: Path, ids: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """All commands that only look at it."""
    for command in (["status"], ["status", "--json"], ["ls"], ["ls", "--set-aside"], ["doctor"]):
        yield (*command, "--spool", str(spool))
    for event_id in ids:
        yield ("show", event_id, "--spool", str(spool))


@pytest.mark.parametrize("terminal", [False, True])
def test_reading_commands_write_printable_text_only(
    planted: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    """Of every field and every name, on a terminal and elsewhere."""
    spool, ids = planted
    monkeypatch.setenv("NO_COLOR", "1")
    for command in looks(spool, ids):
        out, err = say(*command, terminal=terminal)
        assert (command[:2], harm_in(out), harm_in(err)) == (command[:2], [], [])
        assert 'Traceback (most recent call last):\n  File "/' not in err
        assert out
        longest = max(map(len, (out + err).splitlines()))
        assert longest <= output.MOST_OF_LINE or command[0] == "show"
        assert "the-t0ken" not in out + err


@needs.installed("rich")
def test_colours_are_the_only_escapes_on_a_terminal(
    planted: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the text."""
    spool, ids = planted
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for event_id in ids:
        out, _ = say("show", event_id, "--spool", str(spool), terminal=True)
        assert "\x1b[" in out
        assert harm_in(re.sub("\x1b\\[[0-9;]*m", "", out)) == []


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_characters_that_an_encoding_lacks_are_escaped(planted: tuple[Path, list[str]], encoding: str) -> None:
    """And no command fails."""
    spool, ids = planted
    for command in looks(spool, ids[:3] + ids[-2:]):
        out, err = say(*command, encoding=encoding)
        assert (command[:2], harm_in(out), harm_in(err)) == (command[:2], [], [])
        assert "UnicodeEncodeError" not in err


def test_json_stays_json(planted: tuple[Path, list[str]]) -> None:
    """With the same texts, harmless where a program prints them."""
    out, _ = say("status", "--json", "--spool", str(planted[0]))
    assert out.isascii()
    texts: list[str] = []

    def gather(value: object) -> None:
        if isinstance(value, dict):
            texts.extend(value)
            value = list(value.values())
        if isinstance(value, str):
            texts.append(value)
        for one in value if isinstance(value, list) else ():
            gather(one)

    gather(json.loads(out))
    assert len(texts) > 100
    assert [harm_in(text, lines=False) for text in texts if harm_in(text, lines=False)] == []


def test_text_with_line_ends_stays_on_its_line(planted: tuple[Path, list[str]]) -> None:
    """Where one line stands for one thing, line ends inside that thing are escaped."""
    spool, ids = planted
    for command in (["status"], ["doctor"], ["ls"], ["ls", "--set-aside"]):
        out, _ = say(*command, "--spool", str(spool))
        assert [line for line in out.splitlines() if line.startswith("PROBLEM  forged")] == []
    for event_id in ids[:2]:
        out, _ = say("show", event_id, "--spool", str(spool))
        before = out.partition("\nBreadcrumbs")[0]
        assert "forged: line" in before
        assert [line for line in before.splitlines() if line.startswith("PROBLEM  forged")] == []


def test_changing_commands_write_printable_text_only(tmp_path: Path, planted: tuple[Path, list[str]]) -> None:
    """Their arguments and the files that were in the way."""
    spool = tmp_path / "spool"
    shutil.copytree(planted[0], spool, symlinks=True)
    for command in (
        ["flush", "--timeout", "0.5"],
        ["redirect", DSN, DSN.replace("the-t0ken", "other")],
        ["redirect", ALL, DSN],
        ["replay", planted[1][-1]],
        ["replay", "--all"],
        ["purge", planted[1][0]],
        ["purge", "--all"],
    ):
        out, err = say(*command, "--spool", str(spool))
        assert (command, harm_in(out), harm_in(err)) == (command, [], [])
        assert "the-t0ken" not in out + err


@promise(
    Section.HOSTILE_INPUT, "A flusher in the foreground steers no terminal", broken_by="its lines written as they are"
)
def test_flusher_in_the_foreground_steers_no_terminal(tmp_path: Path, planted: tuple[Path, list[str]]) -> None:
    """With its lines about trackers, answers and defects."""
    spool = tmp_path / "spool"
    shutil.copytree(planted[0], spool, symlinks=True)

    def breaks(*_: object) -> None:
        raise SpoolError(ALL)

    def say_until(words: str) -> str:
        """What it says, told to stop once it has said that."""
        stop = threading.Event()

        def said(text: str) -> None:
            write(text, error=True)
            if words in text:
                stop.set()

        write = output.line
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(foreground, "_stop_at_signals", lambda: nullcontext(stop))
            patch.setattr(output, "line", lambda text, error: said(text))
            given_up = threading.Timer(30.0, stop.set)
            given_up.start()
            err = say("flusher", "--spool", str(spool))[1]
            given_up.cancel()
        assert words in err
        return err

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(foreground, "_FAILURES_REPORTED", 1)
        patch.setattr(foreground, "_INTERVAL_LEADING", 0.02)
        patch.setattr(foreground, "_PAUSE", 0.01)
        assert harm_in(say_until("events are kept")) == []
        patch.setattr(Flusher, "run", breaks)
        err = say_until("trouble: ")
        assert harm_in(err) == []
        assert [line for line in err.splitlines() if not line.startswith("lastword flusher: ")] == []


@pytest.mark.parametrize("text", [ALL, HOSTILE["ends the line"], HOSTILE["is no text"]])
def test_arguments_of_commands_are_shown_printable(tmp_path: Path, text: str) -> None:
    """They may come from file names or the clipboard."""
    told = text.replace("\0", "")
    for arguments in (
        [told],
        ["status", told],
        ["status", "--spool", str(tmp_path / told.replace("/", ""))],
        ["show", told, "--spool", str(tmp_path)],
        ["flush", "--timeout", told],
        ["test", told],
        ["doctor", told],
        ["redirect", told, told],
        ["run", "--compat", told, "--", "x"],
        ["run", "--compat", "booboo", "--", told + "-no-such-program"],
    ):
        out, err = say(*arguments)
        assert (arguments, harm_in(out), harm_in(err)) == (arguments, [], [])


def test_traceback_of_a_defect_is_shown_printable(
    planted: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may quote hostile text."""

    def fails(**_: object) -> int:
        raise RuntimeError(ALL + " https://u:s3cret@h/?a=s3cret")

    monkeypatch.setattr("lastword.cli.status.run", fails)
    out, err = say("status", "--spool", str(planted[0]))
    assert (harm_in(out), harm_in(err)) == ([], [])
    assert "RuntimeError" in err
    assert "s3cret" not in err


@promise(
    Section.HOSTILE_INPUT,
    "Tracebacks of threads, uncaught errors and output of libraries are made printable like a command's own lines",
    broken_by="standard error as it is",
)
def test_output_of_threads_and_libraries_is_shown_printable(
    planted: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tracebacks of threads, uncaught exceptions and logs of libraries go to standard error by themselves."""
    told = ALL + " https://u:s3cret@h/?a=s3cret"

    class Unraisable:
        def __del__(self) -> None:
            raise LookupError(told)

    def fails() -> None:
        raise ZeroDivisionError(told)

    def does_it(**_: object) -> int:
        thread = threading.Thread(target=fails)
        thread.start()
        thread.join()
        Unraisable()
        gc.collect()
        sys.stderr.write(f"printed {told}\n")
        record = logging.LogRecord("some.library", logging.WARNING, "l.py", 1, f"logged {told}", None, None)
        assert logging.lastResort is not None
        logging.lastResort.handle(record)
        return 0

    monkeypatch.setattr("lastword.cli.status.run", does_it)
    monkeypatch.setattr(threading, "excepthook", OF_THREADS)
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    out, err = say("status", "--spool", str(planted[0]), terminal=True)
    assert (out, harm_in(err)) == ("", [])
    assert [word in err for word in ("ZeroDivisionError", "LookupError", "printed", "logged")] == [True] * 4
    assert "s3cret" not in err
    assert not isinstance(sys.stderr, output._Net)


def test_version_of_the_leader_is_shown_printable(planted: tuple[Path, list[str]]) -> None:
    """It is shown only while a flusher leads."""
    version = version_of(Layout(str(planted[0])))
    assert version is not None
    assert harm_in(version, lines=False) == []
    assert len(version) <= 64


def test_planted_events_have_every_field_that_is_shown(planted: tuple[Path, list[str]]) -> None:
    """The planted ones are hostile in each text but for what makes their shape."""
    spool, ids = planted
    shown = "".join(say("show", event_id, "--spool", str(spool))[0] for event_id in ids[:6])
    for words in ("Traceback", "File ", "Of the group", "The above exception", "Attachments", "Breadcrumbs", "user:"):
        assert words in shown
    assert all("\\x1b]0;PWNED" in json.dumps(event) or "u001b" in json.dumps(event) for event in events())
