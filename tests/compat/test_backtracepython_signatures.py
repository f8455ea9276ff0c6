"""The promise: every call of ``backtracepython`` is there and takes what it took."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from tests.compat.side_by_side import DROP_IN, ORIGINAL
from tests.compat.surface import Call, calls_of, modules_of, parameters
from tests.support import needs
from tests.support.promise import Section, promise

pytestmark = [
    needs.installed("backtracepython"),
    promise(Section.BACKTRACEPYTHON, "Every call of the package exists", broken_by="a default of 0 for False"),
]

#: Modules that are not there, as docs/compat.md says.
LEFT_OUT = (".attributes.", ".report_queue", ".request_handler", ".source_code_handler", ".utils")

CALLS = [call for call in calls_of(ORIGINAL) if not call.module.startswith(LEFT_OUT)]


def test_all_calls_of_the_original_are_compared() -> None:
    """Those that its guide names, and those of its client and its reports, are among what was found in it."""
    found = {str(call) for call in CALLS}
    assert found >= {":initialize", ":finalize", ":send_last_exception", ":send_report", ":version"}
    assert found >= {".client:send", ".client:globs", ".client:bt_except_hook", ":BacktraceReport.set_exception"}


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_call_takes_the_same_arguments(call: Call) -> None:
    """Names, order, kinds and defaults."""
    assert parameters(call.of(DROP_IN)) == parameters(call.of(ORIGINAL))


def test_only_modules_documented_as_missing_are_missing() -> None:
    """In docs/compat.md, which a program's author reads."""
    said = (Path(__file__).parents[2] / "docs/compat.md").read_text()
    for module in set(modules_of(ORIGINAL)) - set(modules_of(DROP_IN)):
        assert module.startswith(LEFT_OUT)
        assert f"`{module.split('.')[1]}`" in said


def test_a_report_has_the_same_attributes() -> None:
    """All public ones, with values of the same types."""
    theirs, ours = (importlib.import_module(package).BacktraceReport() for package in (ORIGINAL, DROP_IN))
    for name, value in vars(theirs).items():
        assert isinstance(getattr(ours, name), type(value)), name


def test_the_package_exports_the_same_names() -> None:
    """`from … import *`, the namespace of the client, the parts of the version."""
    theirs, ours = (importlib.import_module(package) for package in (ORIGINAL, DROP_IN))
    assert sorted(ours.__all__) == sorted(theirs.__all__)
    their_globs, our_globs = (importlib.import_module(f"{package}.client").globs for package in (ORIGINAL, DROP_IN))
    assert {name for name in vars(their_globs) if not name.startswith("_")} <= set(vars(our_globs))
    assert [type(getattr(ours.version, part)) for part in ("major", "minor", "patch")] == [int, int, int]


@pytest.mark.parametrize(
    ("endpoint", "token", "url"),
    [
        ("https://h", "T", "https://h/post?token=T&format=json"),
        ("https://h:6098", "tok en", "https://h:6098/post?token=tok+en&format=json"),
        ("https://h/path?x=1", None, "https://h/path?x=1"),
        ("https://submit.backtrace.io/universe/token/json", "T", "https://submit.backtrace.io/universe/token/json"),
        ("https://proxy/to/submit.backtrace.io", "T", "https://proxy/to/submit.backtrace.io"),
        ("https://h/", None, "https://h/"),
        ("https://h", "", "https://h/post?token=&format=json"),
        ("https://h", "a/b&c=d", "https://h/post?token=a%2Fb%26c%3Dd&format=json"),
        ("no url at all", None, "no url at all"),
        ("", None, ""),
    ],
)
def test_the_submission_url_is_made_the_same(endpoint: str, token: str | None, url: str) -> None:
    """Every row of the rule, in both packages."""
    for package in (ORIGINAL, DROP_IN):
        assert importlib.import_module(f"{package}.client").construct_submission_url(endpoint, token) == url
