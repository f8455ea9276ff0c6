"""The promise: every call of ``backtracepython`` is there and takes what it took."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

from tests.compat.side_by_side import DROP_IN, ORIGINAL
from tests.support import needs

pytestmark = needs.installed("backtracepython")

CALLS = {
    "": ["initialize", "finalize", "send_last_exception", "send_report", "BacktraceReport"],
    ".client": [
        "initialize",
        "finalize",
        "send_last_exception",
        "send_report",
        "send",
        "create_and_send_report",
        "bt_except_hook",
        "construct_submission_url",
        "get_attributes",
        "get_annotations",
        "set_attribute",
        "set_attributes",
    ],
}


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in CALLS.items() for name in names])
def test_a_function_takes_the_same_arguments(module: str, name: str) -> None:
    """Names, order, kinds and defaults; None stands for an empty list or dict, which is no default to share."""
    assert _parameters(_find(DROP_IN + module, name)) == _parameters(_find(ORIGINAL + module, name))


def test_a_report_has_the_same_methods_and_attributes() -> None:
    """All public ones, with the same arguments."""
    theirs, ours = (_find(package, "BacktraceReport") for package in (ORIGINAL, DROP_IN))
    for name in _public(dir(theirs)):
        assert _parameters(getattr(ours, name)) == _parameters(getattr(theirs, name)), name
    assert set(_public(vars(theirs()))) <= set(_public(dir(ours())))


def test_the_package_exports_the_same_names() -> None:
    """`from … import *` and the namespace of the client."""
    theirs, ours = (importlib.import_module(package) for package in (ORIGINAL, DROP_IN))
    assert sorted(ours.__all__) == sorted(theirs.__all__)
    assert {"next_except_hook", "attachments", "handler"} <= set(vars(_find(DROP_IN + ".client", "globs")))
    assert [type(getattr(ours.version, part)) for part in ("major", "minor", "patch")] == [int, int, int]


@pytest.mark.parametrize(
    ("endpoint", "token", "url"),
    [
        ("https://h", "T", "https://h/post?token=T&format=json"),
        ("https://h:6098", "tok en", "https://h:6098/post?token=tok+en&format=json"),
        ("https://h/path?x=1", None, "https://h/path?x=1"),
        ("https://submit.backtrace.io/universe/token/json", "T", "https://submit.backtrace.io/universe/token/json"),
        ("https://proxy/to/submit.backtrace.io", "T", "https://proxy/to/submit.backtrace.io"),
        ("no url at all", None, "no url at all"),
    ],
)
def test_the_submission_url_is_made_the_same(endpoint: str, token: str | None, url: str) -> None:
    """Every row of the rule, in both packages."""
    assert [
        _find(f"{package}.client", "construct_submission_url")(endpoint, token) for package in (ORIGINAL, DROP_IN)
    ] == [
        url,
        url,
    ]


def _find(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def _public(names: Any) -> list[str]:
    return [name for name in names if not name.startswith("_")]


def _parameters(callable_: Any) -> list[tuple[str, Any, Any]]:
    return [
        (parameter.name, parameter.kind, parameter.default or None)
        for parameter in inspect.signature(callable_).parameters.values()
    ]
