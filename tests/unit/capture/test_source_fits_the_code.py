"""No line of source is shown that the code was not compiled from, and generated code belongs to who generated it."""

from __future__ import annotations

import dataclasses
import importlib
import linecache
import os
import sys
import traceback
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from lastword.assembly import exception_event
from lastword.capture.settings import CaptureSettings
from lastword.event import Frame, Needs
from lastword.scrub import is_sensitive
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.EVENTS,
    "Events show only source that the code was compiled from; generated code is in_app if its module is",
    broken_by="the loader of any globals asked; registered source not compared; `str.splitlines`; the "
    "module's file not checked",
)

RULE = "base = 10\nfactor = 0\nresult = base / factor\n"


def frames_of(call: Any) -> list[Frame]:
    """Of a failing call, by settings that have met no call site yet."""
    settings = CaptureSettings(needs=Needs(), is_sensitive=is_sensitive)
    try:
        call()
    except Exception as error:
        return exception_event(error, handled=True, mechanism="t", settings=settings)["exceptions"][0]["frames"]
    raise AssertionError


def run(source: str, file: str, module: dict[str, Any]) -> Frame:
    """The innermost frame of ``source``, run under that name with these globals."""
    return frames_of(lambda: exec(compile(source, file, "exec"), module))[-1]


def line_of(frame: Frame) -> str:
    return frame["source"][frame["line"] - frame["first_source_line"]] if frame["source"] else ""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of installed packages, on ``sys.path``."""
    directory = tmp_path / "lib" / "site-packages"
    directory.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(directory))
    before = {*sys.modules}
    yield directory
    for name in {*sys.modules} - before:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["pricing-rule-17", "/srv/rules/17", "rule 17", "", "db://rules/17", "<rule 17>"])
def test_made_up_name_shows_no_source_of_the_globals_module(name: str) -> None:
    """Also after a printed traceback left the module's lines under that name."""
    assert run(RULE, name, dict(globals()))["source"] == []
    try:
        exec(compile(RULE, name, "exec"), dict(globals()))
    except ZeroDivisionError:
        traceback.format_exc()
    assert run(RULE, name, dict(globals()))["source"] == []
    linecache.cache.pop(name, None)


@pytest.mark.parametrize("name", ["types.py", "json/decoder.py", "logging/config.py", "this.py", "ast"])
def test_relative_name_found_on_sys_path_shows_no_source(name: str) -> None:
    """The code was never compiled from that file."""
    assert run(RULE, name, {"__name__": "rules"})["source"] == []


def test_source_of_a_file_with_the_same_name_must_fit_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lines are shown only if the code may be compiled from them; templates use file names on purpose."""
    monkeypatch.chdir(tmp_path)
    files = {
        "rules.py": "# another\n" * 5,
        "alike.py": RULE.replace("factor", "divide"),
        "same.py": RULE,
        "page.html": "<p>\n<b>\n{{ price }}\n",
    }
    for name, source in files.items():
        (tmp_path / name).write_text(source)
        os.utime(tmp_path / name, (1, 1))
    monkeypatch.setattr("lastword.capture.source._BEGAN", 1e12)
    assert run(RULE, "rules.py", {})["source"] == []
    assert run(RULE, "alike.py", {})["source"] == []
    assert line_of(run(RULE, "same.py", {})) == "result = base / factor"
    assert line_of(run(RULE, "page.html", {})) == "{{ price }}"


def test_a_module_of_an_archive_shows_its_own_lines(packages: Path) -> None:
    """Counted as Python does: a form feed and a line separator end none. Code that it runs shows none of them."""
    archive = packages / "shop.zip"
    source = "'''\f \x1c \u2028'''\ndef pay():\n    \f\n    1 / 0\ndef generated():\n    exec('1 / 0', globals())\n"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zipped_shop.py", source)
    sys.path.insert(0, str(archive))
    shop = importlib.import_module("zipped_shop")
    frame = frames_of(shop.pay)[-1]
    assert (line_of(frame), frame["in_app"]) == ("    1 / 0", False)
    frame = frames_of(shop.generated)[-1]
    assert (frame["source"], frame["in_app"]) == ([], False)


def test_source_of_a_module_without_a_file_comes_from_its_loader() -> None:
    """As far as the code may be what the loader tells of."""
    loader = SimpleNamespace(get_source=lambda name: RULE)
    assert line_of(run(RULE, "rule 18", {"__name__": "rules", "__loader__": loader})) == "result = base / factor"
    other = run("\n\n\n\n1 / 0", "rule 19", {"__name__": "rules", "__loader__": loader})
    assert other["source"] == []


def test_form_feeds_count_as_python_counts_them(tmp_path: Path) -> None:
    """In a file, and in what is registered with ``linecache``, which may have been split otherwise."""
    source = "a = 1\n\f\nb = '\f'\n1 / 0\n"
    file = tmp_path / "feeds.py"
    file.write_text(source)
    assert line_of(run(source, str(file), {})) == "1 / 0"
    for name in ("<feeds>", "cell-17"):
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)
        try:
            assert line_of(run(source, name, dict(globals()))) == "1 / 0"
        finally:
            del linecache.cache[name]


def test_source_registered_with_linecache_is_shown_where_it_fits() -> None:
    """As attrs does. What is registered under the same name for other code is not."""
    script = "def __init__(self, limit):\n    self.limit = 1 // limit\n"
    name = "<attrs generated init shop.Config>"
    for lines, shown in ((script.splitlines(True), "    self.limit = 1 // limit"), (["x\n"] * 9, "")):
        linecache.cache[name] = (len(script), None, lines, name)
        made: dict[str, Any] = {}
        exec(compile(script, name, "exec"), made)
        try:
            assert line_of(frames_of(lambda: made["__init__"](SimpleNamespace(), 0))[-1]) == shown  # noqa: B023
        finally:
            del linecache.cache[name]


THIRD_PARTY = """
import dataclasses
def default():
    raise ValueError("a default of the library")
@dataclasses.dataclass
class Config:
    limit: int = dataclasses.field(default_factory=default)
def run(file, scope):
    exec(compile("def generated(): return 1 / 0\\ngenerated()", file, "exec"), scope or globals())
"""


def test_generated_code_belongs_to_the_module_whose_globals_it_has(packages: Path) -> None:
    """By its file, its spec, or the module of that name, or its package; where nothing is known, to the program."""
    (packages / "thirdparty.py").write_text(THIRD_PARTY)
    thirdparty: Any = importlib.import_module("thirdparty")

    def in_app(file: str, **scope: Any) -> bool:
        return frames_of(lambda: thirdparty.run(file, scope))[-1]["in_app"]

    assert not [frame for frame in frames_of(thirdparty.Config)[1:] if frame["in_app"]]
    for name in ("<string>", "template.html", "/no/such/file.py", "<thirdparty template>"):
        assert not in_app(name), name
        assert not in_app(name, __name__="thirdparty")
        assert not in_app(name, __name__="thirdparty.templates.page")
        assert not in_app(name, __spec__=thirdparty.__spec__)
        assert in_app(name, __name__="rules")
        assert in_app(name, __name__=7, __file__=8, __spec__="x")
        assert in_app(name, __name__="thirdparty", __file__="/srv/app/shop.py")


def test_generated_code_of_the_program_is_its_own() -> None:
    """And a module that is named as the program's stays that."""

    @dataclasses.dataclass
    class Config:
        limit: int = dataclasses.field(default_factory=lambda: 1 // 0)

    assert all(frame["in_app"] for frame in frames_of(Config))
    settings = CaptureSettings(needs=Needs(), is_sensitive=is_sensitive, not_in_app=("rules",))
    try:
        exec(compile(RULE, "<rule>", "exec"), {"__name__": "rules"})
    except ZeroDivisionError as error:
        event = exception_event(error, handled=True, mechanism="t", settings=settings)
    assert not event["exceptions"][0]["frames"][-1]["in_app"]


def test_strange_globals_cost_nothing() -> None:
    """Objects that are no modules, specs that raise."""

    class Odd(ModuleType):
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    sys.modules["odd_module"] = Odd("odd_module")
    sys.modules["odd_text"] = "x"  # type: ignore[assignment]
    try:
        for name in ("odd_module", "odd_text", "odd_module.inner"):
            assert run(RULE, "<rule>", {"__name__": name, "__loader__": Odd("x")})["in_app"]
    finally:
        del sys.modules["odd_module"], sys.modules["odd_text"]
