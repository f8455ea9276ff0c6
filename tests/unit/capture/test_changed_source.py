"""Source that was changed after it was loaded is recognised: no event shows today's lines for yesterday's code."""

from __future__ import annotations

import glob
import linecache
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from lastword.assembly import exception_event
from lastword.capture import source
from lastword.capture.settings import CaptureSettings
from lastword.capture.source import may_be_source_of
from lastword.event import Frame, Needs
from lastword.scrub import is_sensitive
from tests.support import needs
from tests.support.promise import Section, promise

SOURCE = '''\
"""A module."""

def ship(order, stock):
    # a comment
    left = stock - order
    return [left / amount for amount in (0, 1)]

def run():
    ship(1, 2)
'''


def loaded(path: Path, source: str) -> Any:
    path.write_text(source)
    scope: dict[str, Any] = {"__name__": "shop"}
    exec(compile(source, str(path), "exec"), scope)
    return scope["run"]


def new_settings() -> CaptureSettings:
    """Which have met no call site yet."""
    return CaptureSettings(needs=Needs(), is_sensitive=is_sensitive)


def frames_of(run: Any) -> tuple[dict[str, Frame], dict[str, tuple[int, int]]]:
    """By function, what is shown of a failing call in another process that has not met the file yet."""
    linecache.clearcache()
    try:
        run()
    except ZeroDivisionError as error:
        event = exception_event(error, handled=True, mechanism="t", settings=new_settings())
        return {frame["function"]: frame for frame in event["exceptions"][0]["frames"]}, event["sources"]
    raise AssertionError


def test_a_file_written_just_before_it_is_loaded_is_shown(tmp_path: Path) -> None:
    """As test programs and notebooks do."""
    frames, sources = frames_of(loaded(tmp_path / "shop.py", SOURCE))
    assert frames["ship"]["source"][-1] == "    ship(1, 2)"
    assert frames["run"]["source"]
    assert str(tmp_path / "shop.py") in sources


@promise(
    Section.EVENTS,
    "Events do not show lines of a file that changed after the code was loaded",
    broken_by="names not looked for; the lines of every file believed; the time of the inode not "
    "checked; the file's size reported although linecache has an older one",
)
@needs.capability(sys.version_info >= (3, 11), "Python 3.11, which tells columns")
@pytest.mark.parametrize("change", ["import os\n" + SOURCE, "", SOURCE.replace("    # a comment\n", "")])
def test_a_file_changed_since_is_not_shown(tmp_path: Path, change: str) -> None:
    """Neither its lines nor its time and size, by which more of it could be shown later."""
    path = tmp_path / "shop.py"
    run = loaded(path, SOURCE)
    path.write_text(change)
    frames, sources = frames_of(run)
    assert (frames["ship"]["source"], frames["ship"]["line"]) == ([], 6)
    assert frames["run"]["source"] == []
    assert str(path) not in sources


def test_a_copy_with_the_time_of_its_original_is_a_change(tmp_path: Path) -> None:
    """As rsync and tar leave them."""
    path = tmp_path / "shop.py"
    run = loaded(path, SOURCE)
    path.write_text("import os\n" + SOURCE)
    os.utime(path, (1, 1))
    assert frames_of(run)[0]["ship"]["source"] == []


@promise(
    Section.RECOVERY,
    "A source file that changed after the clock was set back is recognised as changed",
    broken_by="only its time compared",
)
def test_a_change_after_the_clock_was_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It seems older than the program, which began by a clock that was eight hours ahead."""
    began = time.time() + 8 * 3600
    monkeypatch.setattr(source, "_BEGAN", began)
    monkeypatch.setattr(source, "_BEGAN_BY", began - time.monotonic())
    path = tmp_path / "shop.py"
    run = loaded(path, SOURCE)
    path.write_text("import os\n" + SOURCE)
    assert frames_of(run)[0]["ship"]["source"] == []


def test_source_read_before_the_change_is_shown(tmp_path: Path) -> None:
    """linecache keeps it; but the file is no longer the one to read more from."""
    path = tmp_path / "shop.py"
    run = loaded(path, SOURCE)
    linecache.clearcache()
    linecache.getlines(str(path))
    path.write_text("import os\n" + SOURCE)
    try:
        run()
    except ZeroDivisionError as error:
        event = exception_event(error, handled=True, mechanism="t", settings=new_settings())
    assert event["exceptions"][0]["frames"][-1]["source"][-1] == "    ship(1, 2)"
    assert str(path) not in event["sources"]


def test_a_file_that_was_loaded_anew_is_shown_as_it_is_now(tmp_path: Path) -> None:
    """linecache still has the old lines: a notebook or an auto-reloader wrote the file again."""
    path = tmp_path / "shop.py"
    path.write_text("nothing = 0\n" * 20)
    linecache.clearcache()
    linecache.getlines(str(path))
    try:
        loaded(path, SOURCE)()
    except ZeroDivisionError as error:
        event = exception_event(error, handled=True, mechanism="t", settings=new_settings())
    assert event["exceptions"][0]["frames"][-1]["source"][-1] == "    ship(1, 2)"


def test_a_function_that_did_not_change_is_shown(tmp_path: Path) -> None:
    """The question is asked of each function."""
    path = tmp_path / "shop.py"
    run = loaded(path, SOURCE)
    path.write_text(SOURCE.replace("    ship(1, 2)", "    # now\n    ship(1, 2)"))
    frames, _ = frames_of(run)
    assert frames["ship"]["source"]
    assert frames["run"]["source"] == []


@needs.capability(sys.version_info >= (3, 11), "Python 3.11, which tells columns")
def test_a_change_within_a_line_is_seen_by_its_columns() -> None:
    """Where it moves anything."""
    lines = SOURCE.splitlines(keepends=True)
    code = compile(SOURCE, "shop.py", "exec")
    ship = next(one for one in codes_in(code) if one.co_name == "ship")
    assert may_be_source_of(ship, lines)
    lines[4] = lines[4].replace("stock - order", "max(stock, order)")
    assert not may_be_source_of(ship, lines)


@promise(Section.EVENTS, "Events do not show lines of a file that changed after the code was loaded")
@pytest.mark.parametrize("changed", ["value", "left", "path", "__tax", "total"])
def test_another_name_of_the_same_length_is_a_change(changed: str) -> None:
    """A variable's, an attribute's, a module's; they are looked for as the source has them."""
    source = """\
class Shop:
    def pay(self, value):
        import os.path as place
        with place.left(value) as total:
            return self.__tax + self.__doc__ + [value for value in total]
"""
    codes = [*codes_in(compile(source, "shop.py", "exec", dont_inherit=True))]
    assert all(may_be_source_of(code, source.splitlines(keepends=True)) for code in codes)
    lines = source.replace(changed, "x" * len(changed)).splitlines(keepends=True)
    assert not all(may_be_source_of(code, lines) for code in codes)


def codes_in(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes_in(constant)


@promise(
    Section.EVENTS, "Annotations that fail show their source (3.14)", broken_by="`__annotate__` looked for as a name"
)
@needs.capability(sys.version_info >= (3, 14), "Python 3.14, where annotations have code of their own")
def test_code_of_annotations_is_known_by_its_place() -> None:
    """A function's, a class's and a module's: it bears the name of none, and is called when they are asked for."""
    source = """\
import os
class Order:
    number: int
    total: Decimal
@staticmethod
def ship(
    order: Order,
    to: "text" / 1,
): pass
stock: Decimal
"""
    lines = source.splitlines(keepends=True)
    compiled = compile(source, "shop.py", "exec", dont_inherit=True)
    codes = [code for code in codes_in(compiled) if code.co_name == "__annotate__"]
    assert len(codes) == 3
    assert all(may_be_source_of(code, lines) for code in codes)
    assert not any(may_be_source_of(code, ["", *lines]) for code in codes)


def test_no_code_of_the_standard_library_is_taken_for_changed() -> None:
    """Decorators, docstrings, f-strings, comprehensions and all."""
    files = sorted(glob.glob(os.path.dirname(os.__file__) + "/*.py"))[::12]
    of_file = {file: linecache.getlines(file) for file in files}
    codes = [
        code
        for file, lines in of_file.items()
        for code in codes_in(compile("".join(lines), file, "exec", dont_inherit=True))
    ]
    assert len(codes) > 100
    assert [code for code in codes if not may_be_source_of(code, of_file[code.co_filename])] == []
