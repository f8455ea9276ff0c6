"""The promise: no capture raises, and its event is recorded or counted, whatever the program's own code raises in it.

SystemExit and KeyboardInterrupt too, from each method and property of each object that a capture may meet: exceptions,
their arguments and classes, variables, names of code, what is set and logged, what hooks return. Objects of hostile
classes stand in each place of each public call, in thousands of combinations.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, SimpleNamespace
from typing import Any

import pytest

import lastword
from lastword import sdk
from lastword.client import Client
from lastword.config import Config
from lastword.errors import ConfigError
from tests.support import needs
from tests.support.promise import Section, promise
from tests.support.sweeping import HOW, SWITCH, Calls, Sweep

#: PyPy asks the methods of subclasses of ``str``, ``int`` and ``OSError`` where CPython does not (README, limits).
CPYTHON = needs.capability(sys.implementation.name == "cpython", "methods of CPython's own that ask no subclass")

pytestmark = [
    pytest.mark.usefixtures("as_in_a_new_process"),
    promise(
        Section.BEFORE_DISK,
        "Program code that raises during a capture, even SystemExit or KeyboardInterrupt, raises nothing into "
        "the program: the event is recorded or counted; `init` raises ConfigError",
        broken_by="`failures()` takes Exceptions alone; every KeyboardInterrupt passed on, and none; an item "
        "of extra unguarded, the shape of a hook's event; `co_filename.startswith`; "
        '`getattr(error, "filename")`; a record\'s attributes as they are; options unguarded',
    ),
]

_traceback_of = BaseException.__dict__["__traceback__"].__get__


def client() -> Client:
    client = sdk.current_client()
    assert client is not None
    return client


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sweep]:
    """Below our hooks are none of Python's own, which would meet the hostile objects as well."""
    for owner, name in ((sys, "excepthook"), (threading, "excepthook"), (sys, "unraisablehook")):
        monkeypatch.setattr(owner, name, lambda *_: None)
    monkeypatch.setattr(warnings, "showwarning", lambda *_, **__: None)
    lastword.init(spool=str(tmp_path / "spool"), flusher="hold", flood_burst=0, repr_of=("Hostile",))
    lastword.capture_message("first")
    sweep = Sweep(client)
    yield sweep
    sweep.end()


def raise_quietly(error: BaseException) -> None:
    """Python itself asks the class of what is raised."""
    kind, SWITCH.kind = SWITCH.kind, None
    try:
        raise error
    finally:
        SWITCH.kind = kind


def raised(error: BaseException) -> BaseException:
    with contextlib.suppress(BaseException):
        raise_quietly(error)
    return error


def capture_handled(error: Any) -> None:
    try:
        raise_quietly(error)
    except BaseException:
        lastword.capture_exception()


def capture_told(error: Any) -> None:
    try:
        raise_quietly(error)
    except BaseException:
        lastword.capture_exception(sys.exc_info())


def capture_passing(error: Any) -> None:
    try:
        with lastword.catch():
            raise_quietly(error)
    except BaseException as passed:
        if passed is not error:
            raise


def log_handled(error: Any) -> None:
    try:
        raise_quietly(error)
    except BaseException:
        hear(new_record(exc_info=sys.exc_info()))


def excepthook(error: Any) -> None:
    raised(error)
    sys.excepthook(type(error), error, _traceback_of(error))


def end_of_thread(error: Any) -> None:
    raised(error)
    threading.excepthook(threading.ExceptHookArgs((type(error), error, _traceback_of(error), None)))


def unraisable(error: Any) -> None:
    told: Any = SimpleNamespace(exc_type=type(error), exc_value=error, exc_traceback=None, err_msg=None, object=None)
    sys.unraisablehook(told)


def new_record(**values: Any) -> logging.LogRecord:
    record = logging.LogRecord("hostile", 40, "f.py", 1, "failed", (), None)
    record.__dict__.update(values)
    return record


def hear(record: logging.LogRecord) -> None:
    """As a logger does that asks its filters."""
    logging.Logger.filter(logging.getLogger("hostile"), record)


WAYS: dict[str, Callable[[Any], Any]] = {
    "unraised": lastword.capture_exception,
    "raised": lambda error: lastword.capture_exception(raised(error)),
    **{
        way.__name__: way
        for way in (
            *(capture_handled, capture_told, capture_passing, log_handled, excepthook, end_of_thread, unraisable),
        )
    },
}


@CPYTHON
def test_exceptions_of_any_class_are_recorded_or_counted(sweep: Sweep) -> None:
    for how in HOW:
        for base in (Exception, SyntaxError, OSError, KeyError, UnicodeDecodeError, StopIteration):
            arguments = ("utf-8", b"x", 0, 1, "y") if base is UnicodeDecodeError else ("a", "b")
            error = SWITCH.new_class(base, how)

            def ways(error: Any = error, base: Any = base, arguments: Any = arguments, how: str = how) -> Calls:
                for way, go in WAYS.items():
                    if way == "capture_passing" and how == "class":
                        continue  # Python itself asks the class of what passes by
                    yield way, lambda go=go: go(base.__new__(error, *arguments))  # type: ignore[misc]

            sweep.run(f"{base.__name__} ({how})", ways(), events=1)
    assert SWITCH.calls


def test_classes_with_any_name_are_recorded_or_counted(sweep: Sweep) -> None:
    """A name may be of a class of the program's, and the module anything."""
    for how in HOW:
        for attribute in ("__name__", "__qualname__", "__module__"):
            odd: Any = type("Odd", (Exception,), {})
            setattr(odd, attribute, SWITCH.new(str, "odd", how=how))
            sweep.run(f"{attribute} ({how})", all_ways(odd), events=1)


def all_ways(kind: Any) -> Calls:
    for way, go in WAYS.items():
        yield way, lambda go=go: go(kind())  # type: ignore[misc]


def with_parts(thing: Any) -> Calls:
    def of(error: Any, **values: Any) -> Callable[[], Any]:
        for name, value in values.items():
            setattr(error, name, value)
        return lambda: [way(error) for way in (lastword.capture_exception, capture_handled)]

    yield "argument", of(ValueError(thing))
    yield "arguments", of(ValueError(thing, [thing], {"a": thing}))
    yield "key", of(KeyError(thing))
    yield "arguments of OSError", of(OSError(thing, thing, thing))
    yield "notes", of(ValueError("x"), __notes__=thing)
    yield "a note", of(ValueError("x"), __notes__=[thing, "text"])
    yield "place of SyntaxError", of(SyntaxError("x", (thing, thing, thing, thing)))
    yield "text of SyntaxError", of(SyntaxError("x", ("f.py", 1, 1, thing)))
    yield "file of SyntaxError", of(SyntaxError("x", (thing, 1, 1, "text")))
    if issubclass(type(thing), BaseException):
        yield "cause", of(ValueError("x"), __cause__=thing)
        yield "context", of(ValueError("x"), __context__=thing)
        if sys.version_info >= (3, 11):
            yield "member", of(ExceptionGroup("x", [KeyError(1), thing]))  # noqa: F821


def test_raising_parts_of_exceptions_cost_no_event(sweep: Sweep) -> None:
    for what, thing in sweep.things():
        sweep.run(what, with_parts(thing), events=2)


def failing(names: dict[str, Any], code: Any = "raise ZeroDivisionError", variables: Any = None) -> Callable[[], Any]:
    def run() -> None:
        try:
            exec(code, names, variables)
        except ZeroDivisionError:
            lastword.capture_exception()

    return run


def with_variables(thing: Any) -> Calls:
    yield "variable", failing({}, variables={"a": thing, "password": thing})
    yield "in a list", failing({}, variables={"a": [thing, 1, [thing]], "b": (1, thing), "c": ("--password", thing)})
    yield "in a pair", failing({}, variables={"a": (thing, thing), "b": [(thing, "x")], "c": ["-p", thing]})
    yield "in a dict", failing({}, variables={"a": {"a": thing, "name": thing, "value": thing}, "b": {1: (thing,)}})
    yield "of a function", failing({"held": thing}, "def f(held):\n 1 / 0\nf(held)")


def test_raising_variables_cost_no_event(sweep: Sweep) -> None:
    for what, thing in sweep.things():
        sweep.run(what, with_variables(thing), events=1)
    for what, thing in sweep.things(but=("list", "dict", "set")):
        variables = {"a": {thing: 1}, "b": {"x": 1, thing: {thing: 2}}, "c": {thing}}
        sweep.run(what, [("key", failing({}, variables=variables))], events=1)


def test_raising_module_attributes_cost_no_event(sweep: Sweep) -> None:
    for what, thing in sweep.things():
        for known in ({}, {"__name__": "shop", "__file__": "of_the_program.py"}):
            sweep.run(
                what,
                [
                    (name, failing({**known, name: thing}, "1 / 0"))
                    for name in ("__name__", "__file__", "__loader__", "__spec__")
                ],
                events=1,
            )


def code_with(source: str = "def work():\n    1 / 0\nwork()\n", **names: Any) -> CodeType:
    module = compile(source, "of_the_program.py", "exec")
    parts = [one.replace(**names) if isinstance(one, CodeType) else one for one in module.co_consts]
    return module.replace(co_consts=tuple(parts), **names)


@CPYTHON
def test_odd_names_of_code_cost_no_event(sweep: Sweep) -> None:
    within = {"message": lastword.capture_message, "unraised": lastword.capture_exception, "logged": hear}
    for how in HOW:
        text = SWITCH.new(str, "of_the_program.py", how=how)
        for names in ({"co_filename": text}, {"co_name": text}, {"co_filename": text, "co_name": text}):
            for way, go in {**WAYS, "message": lambda _: lastword.capture_message("x")}.items():

                def run(go: Any = go, names: Any = names) -> None:
                    try:
                        exec(code_with(**names), {})
                    except ZeroDivisionError as error:
                        go(error)

                sweep.run(f"{way} {[*names]} ({how})", [("code", run)], events=1)
            for way, call in within.items():  # right from there
                inside = code_with("def work():\n    call(argument)\nwork()\n", **names)
                argument: Any = new_record(pathname="", lineno=0) if way == "logged" else ValueError("x")
                values = {"call": call, "argument": argument}
                sweep.run(f"{way} in {[*names]} ({how})", [("code", failing(values, inside))], events=1)


def settings_of(thing: Any) -> Calls:
    yield "user", lambda: lastword.set_user(thing)
    yield "user's id", lambda: lastword.set_user({"id": thing, "more": [thing, {"a": thing}]})
    yield "tag", lambda: lastword.set_tag(thing, thing)
    yield "tag's value", lambda: lastword.set_tag("a", thing)
    yield "tags", lambda: lastword.set_tags(thing)
    yield "tags' values", lambda: lastword.set_tags({"a": thing})
    yield "extra", lambda: lastword.set_extra(thing, thing)
    yield "extra's value", lambda: lastword.set_extra("a", thing)
    yield "extra's values", lambda: lastword.set_extra("a", [thing, {"a": thing}])
    yield "context", lambda: lastword.set_context(thing, thing)
    yield "context's values", lambda: lastword.set_context("a", {"a": thing, "b": [thing]})
    yield "fingerprint", lambda: lastword.set_fingerprint(thing)
    yield "part of the fingerprint", lambda: lastword.set_fingerprint([thing, "a"])
    yield "transaction", lambda: lastword.set_transaction(thing)
    yield "level", lambda: lastword.set_level(thing)
    yield "attachment", lambda: lastword.add_attachment(thing)
    yield "attached data", lambda: lastword.add_attachment(data=thing)
    yield "attachment's name", lambda: lastword.add_attachment(data="x", name=thing, content_type=thing)
    yield "breadcrumb", lambda: lastword.add_breadcrumb(thing, category=thing, level=thing, data=thing, type=thing)
    yield "breadcrumb's message", lambda: lastword.add_breadcrumb(thing)
    yield "breadcrumb's data", lambda: lastword.add_breadcrumb("x", data={"a": thing, "b": [thing]})
    yield "breadcrumb's level", lambda: lastword.add_breadcrumb("x", level=thing)
    yield "warning", lambda: warnings.showwarning(thing, type(thing), thing, thing)
    yield "warning's text", lambda: warnings.showwarning(thing, UserWarning, "f.py", 1)


def test_raising_context_values_cost_no_event(sweep: Sweep) -> None:
    """And what is captured with it."""
    for what, thing in sweep.things():
        for place, call in settings_of(thing):
            with lastword.new_scope():
                sweep.run(what, [(place, call)], events=0)
                sweep.run(f"{place} {what}", [("message", lambda: lastword.capture_message("x"))], events=1, kinds=1)


def captures_of(thing: Any) -> Calls:
    yield "message", lambda: lastword.capture_message(thing)
    yield "level", lambda: lastword.capture_message("x", thing)
    yield "exception", lambda: lastword.capture_exception(thing)
    yield "class", lambda: lastword.capture_exception(type(thing))
    told: Any = (thing, ValueError("x"), thing)
    yield "exc_info", lambda: lastword.capture_exception(told)
    for name in ("name", "msg", "args", "exc_info", "levelname", "pathname", "funcName", "lineno", "stack_info", "x"):
        yield f"record's {name}", lambda name=name: hear(new_record(**{name: thing}))  # type: ignore[misc]
    yield "argument", lambda: hear(new_record(msg="failed %s", args=(thing,)))
    yield "named argument", lambda: hear(new_record(msg="failed %(a)s", args={"a": thing}))
    yield "structlog's event", lambda: hear(new_record(msg={"event": thing, "a": thing}, _logger=thing))
    yield "record's exc_info", lambda: hear(new_record(exc_info=(thing, thing, thing)))


@CPYTHON
def test_raising_arguments_of_captures_cost_no_event(sweep: Sweep) -> None:
    for what, thing in sweep.things():
        sweep.run(what, captures_of(thing), events=1, kinds=5)
        for name in ("levelno", "process"):  # of no level, or of another process
            sweep.run(what, [(name, lambda: hear(new_record(**{name: thing})))], events=0)  # noqa: B023


def hooks_of(thing: Any) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    def putting(place: str, value: Any) -> Callable[[Any], Any]:
        return lambda event: {**event, place: value}

    yield "returned", lambda event: thing
    yield "raised", lambda event: thing.missing()
    for place in ("id", "level", "message", "exceptions", "handled", "timestamp", "user", "tags", "extra", "x"):
        yield f"as {place}", putting(place, thing)
        yield f"in {place}", putting(place, [thing])
        yield f"of {place}", putting(place, {"a": thing})
    yield "in a frame", putting("stack", [{"file": thing, "line": thing}])


def test_raising_hooks_are_counted(sweep: Sweep, tmp_path: Path) -> None:
    """Errors from ``before_send`` and from any place of the event it returns."""
    made: list[Callable[[Any], Any]] = [lambda event: event]
    lastword.init(
        spool=str(tmp_path / "spool"), flusher="hold", flood_burst=0, before_send=lambda event: made[0](event)
    )
    for what, thing in sweep.things():
        for place, hook in hooks_of(thing):
            made[0] = hook
            sweep.run(what, [(place, lambda: lastword.capture_message("x"))], events=1, kinds=2)


def test_raising_options_are_a_config_error(sweep: Sweep) -> None:
    """``init`` says what is wrong, and raises nothing else."""
    options = ("dsn", "environment", "release", "spool", "flusher", "timeout", "verify", "ignore_errors", "repr_of")
    for what, thing in sweep.things():
        for option in (*options, "sample_rate", "scrub_names", "in_app", "before_send", "log_events", "max_spool"):

            def begin(given: Any) -> None:
                with contextlib.suppress(ConfigError):
                    Client(Config.load({**BARE, option: given}))  # noqa: B023

            sweep.run(what, [(option, lambda: begin(thing)), (f"in {option}", lambda: begin([thing]))], events=0)  # noqa: B023


BARE = {"flusher": "hold"}


@promise(Section.BEFORE_DISK, "Ctrl-C during a capture reaches the program", broken_by="no KeyboardInterrupt passed on")
def test_ctrl_c_during_a_capture_reaches_the_program(sweep: Sweep) -> None:
    """Also inside code of the program; a KeyboardInterrupt that this code raises itself does not."""

    class Slow(Exception):
        def __str__(self) -> str:
            signal.raise_signal(signal.SIGINT)
            return "slow"

    for way in ("unraised", "raised", "capture_handled", "capture_passing"):
        with pytest.raises(KeyboardInterrupt):
            WAYS[way](Slow())
    with pytest.raises(KeyboardInterrupt):
        lastword.set_extra("a", Slow())
