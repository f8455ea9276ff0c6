"""Frames: where each call was, what its source says, and how a long stack is cut."""

from __future__ import annotations

import json
import linecache
import os
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lastword.assembly import exception_event, message_event
from lastword.capture import CaptureSettings
from lastword.capture.frames import SHOWN_CYCLES
from lastword.capture.source import MAX_FILE_SIZE, is_in_app
from lastword.event import LEFT_OUT, Event, Frame, Needs
from lastword.event_json import own_copy, to_json
from lastword.scrub import is_sensitive
from tests.support import needs

WITH_STACK = CaptureSettings(needs=Needs(message_stack=True), is_sensitive=is_sensitive)


def failing_event(source: str, file: object, settings: CaptureSettings = WITH_STACK, **names: Any) -> Event:
    """The event of what ``source`` raises, run as if it stood in ``file``."""
    scope: dict[str, Any] = {"__name__": "failing_module", **names}
    try:
        exec(compile(source, str(file), "exec"), scope)
    except Exception as error:
        return exception_event(error, handled=True, mechanism="test", settings=settings)
    raise AssertionError("nothing was raised")


def last_frame(event: Event) -> Frame:
    return event["exceptions"][0]["frames"][-1]


def written(path: Path, source: str) -> Path:
    path.write_bytes(source.encode())
    return path


def test_frames_run_from_the_outermost_call_to_the_raise(tmp_path: Path) -> None:
    """The order in which Python prints a traceback."""
    source = "def a():\n    b()\ndef b():\n    1 / 0\na()\n"
    frames = failing_event(source, written(tmp_path / "m.py", source))["exceptions"][0]["frames"][1:]
    assert [(frame["function"], frame["line"]) for frame in frames] == [("<module>", 5), ("a", 2), ("b", 4)]
    assert {frame["module"] for frame in frames} == {"failing_module"}
    assert {frame["path"] for frame in frames} == {str(tmp_path / "m.py")}


@pytest.mark.parametrize(("around", "shown"), [(0, ["5"]), (2, ["3", "4", "5", "6", "7"]), (50, list("123456789"))])
def test_context_lines_sets_the_number_of_lines_shown(tmp_path: Path, around: int, shown: list[str]) -> None:
    """Above and below, as far as the file has them."""
    source = "1\n2\n3\n4\nfail(); 5\n6\n7\n8\n9\n"
    wanted = CaptureSettings(needs=Needs(), is_sensitive=is_sensitive, context_lines=around)
    frame = last_frame(failing_event(source, written(tmp_path / "m.py", source), wanted))
    assert [line[-1] for line in frame["source"]] == shown
    assert frame["source"][frame["line"] - frame["first_source_line"]] == "fail(); 5"


@pytest.mark.parametrize(
    ("in_app", "not_in_app", "file", "belongs"),
    [
        ((), (), "/venv/site-packages/shop/cart.py", False),
        (("shop",), (), "/venv/site-packages/shop/cart.py", True),
        (("shop.cart",), (), "/venv/site-packages/shop/cart.py", True),
        (("sho", "shop.car", "cart"), (), "/venv/site-packages/shop/cart.py", False),
        ((), ("shop",), "/srv/shop/cart.py", False),
        (("shop",), ("shop.cart",), "/srv/shop/cart.py", False),
        (("shop.cart",), ("shop",), "/srv/shop/cart.py", True),
        (("other",), ("others",), "/srv/shop/cart.py", True),
    ],
)
def test_in_app_can_be_set_by_module_names(
    in_app: tuple[str, ...], not_in_app: tuple[str, ...], file: str, belongs: bool
) -> None:
    """Including their submodules; the longest name counts, and without any the file decides."""
    wanted = CaptureSettings(needs=Needs(), is_sensitive=is_sensitive, in_app=in_app, not_in_app=not_in_app)
    assert last_frame(failing_event("fail()", file, wanted, __name__="shop.cart"))["in_app"] is belongs


def test_the_line_is_that_of_the_raise_not_of_the_capture(settings: CaptureSettings) -> None:
    """By the time of the capture the frame has moved on into its ``except`` block."""
    try:
        raise ValueError
    except ValueError as error:
        raised_at = sys._getframe().f_code.co_firstlineno + 3
        event = exception_event(error, handled=True, mechanism="test", settings=settings)
    assert last_frame(event)["line"] == raised_at


def test_source_has_five_lines_on_each_side(tmp_path: Path) -> None:
    """Fewer at the ends of the file; the first line's number tells which they are."""
    lines = [f"x{number} = 0" for number in range(1, 31)]
    for number, first, last in ((15, 10, 20), (2, 1, 7), (30, 25, 30)):
        changed = [*lines[: number - 1], "1 / 0", *lines[number:]]
        frame = last_frame(failing_event("\n".join(changed), written(tmp_path / f"m{number}.py", "\n".join(changed))))
        assert frame["first_source_line"] == first
        assert frame["source"] == changed[first - 1 : last]


def test_a_shown_file_is_named_with_its_time_and_size(tmp_path: Path) -> None:
    """So that code that shows more lines later can tell whether the file is still the same."""
    path = written(tmp_path / "m.py", "1 / 0\n")
    sources = failing_event("1 / 0\n", path)["sources"]
    assert sources[str(path)] == (path.stat().st_mtime_ns, path.stat().st_size)


def test_code_without_a_file_has_no_source() -> None:
    """Nothing is claimed about ``<string>``, not even that it exists."""
    event = failing_event("1 / 0", "<made up>")
    frame = last_frame(event)
    assert (frame["source"], frame["first_source_line"], frame["line"]) == ([], 0, 1)
    assert frame["path"] not in event["sources"]


def test_generated_code_has_the_source_that_linecache_knows() -> None:
    """Doctests, notebooks and template engines register their sources there."""
    name = "<generated for test_frames>"
    linecache.cache[name] = (5, None, ["1 / 0\n"], name)
    try:
        assert last_frame(failing_event("1 / 0\n", name))["source"] == ["1 / 0"]
    finally:
        del linecache.cache[name]


def test_source_of_a_module_in_an_archive_comes_from_its_loader() -> None:
    """A module inside an archive has no file of its own."""
    loader = SimpleNamespace(get_source=lambda name: f"1 / 0  # {name}\n")
    frame = last_frame(failing_event("1 / 0", "/archive.zip/inside.py", __loader__=loader))
    assert frame["source"] == ["1 / 0  # failing_module"]


@pytest.mark.parametrize("answer", [RuntimeError("broken loader"), b"bytes", 5, None, "\udc80\n"])
def test_a_broken_loader_costs_only_the_source(answer: Any) -> None:
    """It may raise, or return what is no source."""

    def get_source(name: str) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    file = f"/archive.zip/broken_{answer!r}.py"
    frame = last_frame(failing_event("1 / 0", file, __loader__=SimpleNamespace(get_source=get_source)))
    assert frame["source"] in ([], ["\\udc80"])
    assert frame["line"] == 1


@needs.capability(hasattr(os, "mkfifo"), "os.mkfifo")
def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """The file of ``python /dev/stdin`` is the program's input; reading a pipe would also wait."""
    os.mkfifo(tmp_path / "pipe.py")
    assert last_frame(failing_event("1 / 0", tmp_path / "pipe.py"))["source"] == []


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    """More than 4 MiB is not hand-written source."""
    path = written(tmp_path / "huge.py", "1 / 0\n" + "#" * MAX_FILE_SIZE)
    assert last_frame(failing_event("1 / 0\n", path))["source"] == []


def test_a_long_source_line_is_cut(tmp_path: Path) -> None:
    """Minified and generated code has lines of megabytes."""
    source = "1 / 0  # " + "x" * 100_000
    (line,) = last_frame(failing_event(source, written(tmp_path / "m.py", source)))["source"]
    assert len(line) == 500
    assert line.endswith("…")


@needs.capability(sys.version_info >= (3, 11), "Python 3.11")
def test_columns_count_characters(tmp_path: Path) -> None:
    """Python counts bytes of UTF-8, in both lines; people and editors count characters."""
    source = "x = 'äöü'; y = 1 - (\n'ö' )\n"
    columns = last_frame(failing_event(source, written(tmp_path / "m.py", source)))["columns"]
    assert tuple(columns or ()) == (2, 15, 5)


@needs.capability(sys.version_info >= (3, 11), "Python 3.11")
def test_the_qualified_name_has_its_class(tmp_path: Path) -> None:
    """``save`` alone does not say whose."""
    frame = last_frame(failing_event("class A:\n    def save(self):\n        1 / 0\nA().save()", "<q>"))
    assert (frame["function"], frame["qualname"]) == ("save", "A.save")


def test_installed_code_is_not_in_app(tmp_path: Path) -> None:
    """Standard library, installed packages and lastword itself."""
    assert is_in_app(str(tmp_path / "app.py"))
    assert is_in_app("<string>")
    assert is_in_app("relative.py")
    assert not is_in_app("/venv/lib/python3.11/site-packages/flask/app.py")
    assert not is_in_app("/usr/lib/python3/dist-packages/yaml/__init__.py")
    assert not is_in_app(os.path.join(sysconfig.get_paths()["stdlib"], "json", "decoder.py"))
    assert not is_in_app("<frozen importlib._bootstrap>")
    assert not is_in_app(exception_event.__code__.co_filename)


def test_a_relative_file_is_made_absolute_where_the_capture_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same code captured in two directories has two paths and one file name."""
    code = compile("1 / 0", "relative.py", "exec")
    for directory in ("one", "two"):
        (tmp_path / directory).mkdir()
        monkeypatch.chdir(tmp_path / directory)
        try:
            exec(code, {})
        except ZeroDivisionError as error:
            frame = last_frame(exception_event(error, handled=True, mechanism="test", settings=WITH_STACK))
        assert (frame["file"], frame["path"]) == ("relative.py", str(tmp_path / directory / "relative.py"))


def test_a_working_directory_that_is_gone_costs_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon's directory may have been deleted under it."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert last_frame(failing_event("1 / 0", "gone.py"))["path"] == "gone.py"


@pytest.mark.parametrize(("depth", "missing"), [(97, 0), (98, 98), (5000, 5000)])
def test_deep_recursion_is_shown_in_a_few_frames(depth: int, missing: int) -> None:
    """Up to 100 frames all are shown; of more, the beginning, a few rounds and the end."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + 500)
    try:
        source = "def down(n):\n    if n: down(n - 1)\n    else: 1 / 0\ndown(start)\n"
        frames = failing_event(source, "<deep>", start=depth)["exceptions"][0]["frames"]
    finally:
        sys.setrecursionlimit(limit)
    if not missing:
        assert len(frames) == depth + 3
        return
    shown = [(frame["function"], frame["line"]) for frame in frames]
    assert shown == [
        ("failing_event", frames[0]["line"]),
        ("<module>", 4),
        *[("down", 2)] * SHOWN_CYCLES,
        (f"({depth - 2 * SHOWN_CYCLES} frames left out)", 0),
        *[("down", 2)] * SHOWN_CYCLES,
        ("down", 3),
    ]
    assert frames[2 + SHOWN_CYCLES]["file"] == LEFT_OUT


def test_the_same_place_is_described_alike_each_time(tmp_path: Path) -> None:
    """A hook that changes a frame of one event does not change the cached one."""
    source = "1 / 0\n"
    code = compile(source, str(written(tmp_path / "m.py", source)), "exec")
    seen = []
    for _ in range(2):
        try:
            exec(code, {})
        except ZeroDivisionError as error:
            event = own_copy(exception_event(error, handled=True, mechanism="test", settings=WITH_STACK))
        seen.append(own_copy(event)["exceptions"][0]["frames"][-1])
        last_frame(event)["source"].clear()
        last_frame(event)["variables"].clear()
    assert seen[0] == seen[1]
    assert seen[0]["source"] == ["1 / 0"]


def test_the_module_is_that_of_the_globals_at_hand(tmp_path: Path) -> None:
    """One code object may run in several modules, and the cache keeps them apart."""
    code = compile("1 / 0\n", str(written(tmp_path / "m.py", "1 / 0\n")), "exec")
    modules = []
    for name in ("first", "second", "first", 7):
        try:
            exec(code, {"__name__": name})
        except ZeroDivisionError as error:
            event = exception_event(error, handled=True, mechanism="test", settings=WITH_STACK)
        modules.append(
            (last_frame(event)["module"], json.loads(to_json(event))["exceptions"][0]["frames"][-1]["module"])
        )
    assert modules == [("first", "first"), ("second", "second"), ("first", "first"), (None, None)]


def test_a_message_has_the_stack_of_its_caller_without_us_and_without_variables() -> None:
    """The first frame from the inside is the one that asked; locals are taken of errors only."""

    def caller() -> Event:
        secret_free = 1
        del secret_free
        return message_event("hello", level="info", settings=WITH_STACK)

    event = caller()
    innermost = event["stack"][-1]
    assert (innermost["function"], innermost["line"]) == ("caller", caller.__code__.co_firstlineno + 3)
    assert all(frame["variables"] == [] for frame in event["stack"])
    assert __file__ in event["sources"]


def test_message_has_a_stack_only_if_the_format_wants_it(settings: CaptureSettings) -> None:
    """Most formats have no place for it."""
    event = message_event("hello", level="warning", settings=settings)
    assert (event["stack"], event["exceptions"], event["sources"]) == ([], [], {})
    assert (event["message"], event["level"], event["handled"]) == ("hello", "warning", True)


def test_an_over_long_message_is_cut_and_says_by_how_much(settings: CaptureSettings) -> None:
    """As the text of an exception."""
    message = message_event("x" * 100_000, level="info", settings=settings)["message"]
    assert message is not None
    assert len(message) <= 8192
    assert "characters left out) …x" in message
