"""The calls of the drop-ins raise nothing, and account for each event, whatever the objects in them raise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lastword import integrations, listener, sdk
from lastword.client import Client
from lastword.compat import backtracepython, booboo
from lastword.compat.backtracepython import attributes
from lastword.compat.backtracepython.client import set_attribute, set_attributes
from lastword.compat.backtracepython.handler import globs
from tests.support.promise import Section, promise
from tests.support.sweeping import HOW, SWITCH, Calls, Sweep

pytestmark = promise(
    Section.BEFORE_DISK,
    "Program code that raises during a capture, even SystemExit or KeyboardInterrupt, raises nothing into "
    "the program: the event is recorded or counted; `init` raises ConfigError",
)


def client() -> Client:
    found = globs.handler.client if globs.handler is not None else sdk.current_client()
    assert found is not None
    return found


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sweep]:
    for name, value in (("FLUSHER", "hold"), ("SPOOL", str(tmp_path / "spool")), ("FLOOD_BURST", "0")):
        monkeypatch.setenv(f"LASTWORD_{name}", value)
    monkeypatch.setenv("BOOBOO_HANDSHAKE", "0")
    sweep = Sweep(client)
    yield sweep
    writer = client().recorder.writer
    if writer is not None:
        writer.abandon()
    sdk._client = sdk._closed = globs.handler = booboo._client = None
    attributes._layers.clear()
    listener.uninstall()
    integrations.uninstall()
    sweep.end()


def handling(error: BaseException, capture: Callable[[], Any]) -> Callable[[], Any]:
    def call() -> None:
        kind, SWITCH.kind = SWITCH.kind, None  # Python itself asks the class of what is raised
        try:
            raise error
        except BaseException:
            SWITCH.kind = kind
            capture()

    return call


def calls_of_booboo(thing: Any) -> Calls:
    yield "message", lambda: booboo.capture_message(thing)
    yield "level", lambda: booboo.capture_message("x", thing)
    yield "argument", handling(ValueError(thing), booboo.capture_exception)
    yield "variable", handling(ValueError(), lambda held=thing: booboo.capture_exception(ValueError("x")))  # type: ignore[misc]
    if issubclass(type(thing), BaseException):
        yield "exception", handling(thing, booboo.capture_exception)
        yield "unraised", lambda: booboo.capture_exception(thing)


def users_of_booboo(thing: Any) -> Calls:
    yield "user", lambda: booboo.set_user(thing)
    yield "user's id", lambda: booboo.set_user({"id": thing})
    if not issubclass(type(thing), BaseException):
        yield "no exception", lambda: booboo.capture_exception(thing)


@pytest.mark.parametrize("with_hook", [False, True])
def test_booboo_raises_nothing_and_accounts_for_each_event(sweep: Sweep, with_hook: bool) -> None:
    """With a hook events are rendered where they are captured."""
    booboo.init("", before_send=(lambda event: event) if with_hook else None)
    for what, thing in sweep.things():
        sweep.run(what, calls_of_booboo(thing), events=1)
        sweep.run(what, users_of_booboo(thing), events=0)


def test_hooks_of_booboo_raise_nothing_into_the_program(sweep: Sweep) -> None:
    made: list[Callable[[Any], Any]] = [lambda event: event]
    booboo.init("", before_send=lambda event: made[0](event))
    booboo.capture_message("first")
    for what, thing in sweep.things():
        hooks: dict[str, Callable[[Any], Any]] = {
            "returned": lambda event: thing,  # noqa: B023
            "raised": lambda event: thing.missing(),  # noqa: B023
            "in it": lambda event: {**event, "tags": thing, "x": [thing]},  # noqa: B023
        }
        for place, hook in hooks.items():
            made[0] = hook
            sweep.run(what, [(place, lambda: booboo.capture_message("x"))], events=1)


def calls_of_backtrace(thing: Any) -> Calls:
    send: Any = backtracepython.send_report
    yield "message", lambda: send(thing)
    yield "attributes", lambda: send("x", attributes=thing, annotations=thing)
    yield "attribute", lambda: send("x", attributes={"a": thing}, annotations={"a": [thing], "b": {"c": thing}})
    yield "argument", handling(ValueError(thing), backtracepython.send_last_exception)
    yield "more", handling(ValueError(), lambda: backtracepython.send_last_exception(attributes={"a": thing}))
    if issubclass(type(thing), BaseException):
        yield "exception", handling(thing, backtracepython.send_last_exception)


def test_backtracepython_raises_nothing_and_accounts_for_each_event(sweep: Sweep) -> None:
    backtracepython.initialize("http://127.0.0.1:9/", "token", disable_global_handler=True)
    for what, thing in sweep.things():
        sweep.run(what, calls_of_backtrace(thing), events=1)
    for how in HOW:
        for thing in (SWITCH.new(dict, {"a": 1}, how=how), SWITCH.new(object, how=how)):
            set_attributes(thing)
            set_attribute("a", thing)
            set_attribute("b", [thing])
            sweep.run(f"of all ({how})", [("attributes", lambda: backtracepython.send_report("x"))], events=1)
