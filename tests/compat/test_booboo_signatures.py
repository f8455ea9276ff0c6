"""The promise: every call of ``booboo`` is there and takes what it took."""

from __future__ import annotations

import importlib
import logging
from pathlib import Path
from typing import Any

import pytest

import lastword.compat.booboo as drop_in
from tests.compat.surface import Call, calls_of, modules_of, parameters
from tests.support import needs
from tests.support.promise import Section, promise

pytestmark = [
    needs.installed("booboo"),
    promise(Section.BOOBOO, "Every call of the package exists", broken_by="`_client.logger` a function"),
]

ORIGINAL, DROP_IN = "booboo", "lastword.compat.booboo"

#: A module that is not there, as docs/compat.md says.
LEFT_OUT = "._stacktrace"

CALLS = [call for call in calls_of(ORIGINAL) if call.module != LEFT_OUT]

#: What tests of programs call although it is private.
PRIVATE = [Call("._client", f"BoobooClient.{name}") for name in ("_capture_and_send", "_flush")]


def test_all_calls_of_the_original_are_compared() -> None:
    """Those of its page, and what its other modules have, are among what was found in it."""
    found = {str(call) for call in CALLS}
    assert found >= {":init", ":capture_exception", ":capture_message", ":set_user", ":BoobooClient.install"}
    assert found >= {"._scrubber:scrub_vars", "._middleware:BoobooDjangoMiddleware", "._client:BoobooClient.set_user"}


@pytest.mark.parametrize("call", CALLS + PRIVATE, ids=str)
def test_a_call_takes_the_same_arguments(call: Call) -> None:
    """Names, order, kinds and defaults."""
    assert parameters(call.of(DROP_IN)) == parameters(call.of(ORIGINAL))


def test_only_modules_documented_as_missing_are_missing() -> None:
    """In docs/compat.md, which a program's author reads."""
    missing = set(modules_of(ORIGINAL)) - set(modules_of(DROP_IN))
    assert missing == {LEFT_OUT}
    assert f"`{LEFT_OUT[1:]}`" in (Path(__file__).parents[2] / "docs/compat.md").read_text()


def test_a_client_has_the_same_attributes() -> None:
    """All public ones, with the same values."""
    arguments: dict[str, Any] = {"environment": "e", "release": "r", "ignore_errors": [KeyError], "before_send": print}
    original = importlib.import_module(ORIGINAL)
    theirs, ours = (made.BoobooClient("https://T@example.org/o/p", **arguments) for made in (original, drop_in))
    public = [name for name in vars(theirs) if not name.startswith("_")]
    assert {name: getattr(ours, name) for name in public} == {name: getattr(theirs, name) for name in public}
    assert drop_in.__version__ == original.__version__


def test_constants_and_the_logger_are_the_same() -> None:
    """The constants, and the logger, which may be taken from where the original has it."""
    theirs, ours = (importlib.import_module(f"{package}._client") for package in (ORIGINAL, DROP_IN))
    assert ours.DEFAULT_ENDPOINT == theirs.DEFAULT_ENDPOINT
    assert ours.logger is theirs.logger is logging.getLogger("booboo")
    theirs, ours = (importlib.import_module(f"{package}._scrubber") for package in (ORIGINAL, DROP_IN))
    assert ours.SENSITIVE_HEADERS == theirs.SENSITIVE_HEADERS
    assert ours.SENSITIVE_PATTERN == theirs.SENSITIVE_PATTERN
