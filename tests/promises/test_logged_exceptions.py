"""The promise: what was logged with an exception reaches the tracker, and the event is that of the exception alone."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import date
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from typing import Any

import loguru
import pytest
import structlog

import lastword
from lastword import listener, sdk
from lastword.wire.formats import FORMATS
from tests.support.events import destination
from tests.support.promise import Section, promise


@pytest.fixture(autouse=True)
def as_in_a_new_process() -> Iterator[None]:
    yield
    client = sdk.current_client()
    if client is not None and client.recorder.writer is not None:
        client.recorder.writer.abandon()
    sdk._client = sdk._closed = None
    listener.uninstall()
    structlog.reset_defaults()


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """One that nobody else hears."""
    logger = logging.getLogger("shop")
    logger.handlers, logger.propagate, before = [logging.NullHandler()], False, logger.level
    logger.setLevel(logging.INFO)
    yield logger
    logger.handlers, logger.propagate = [], True
    logger.setLevel(before)


def events(spool: Path) -> list[Any]:
    lines = [line for path in spool.glob("v1/writers/*/*.seg") for line in path.read_text().splitlines()]
    return [json.loads(line)["event"] for line in lines]


def fails(failure: Callable[[], Any]) -> None:
    """In the midst of an exception."""
    try:
        raise ZeroDivisionError("division by zero")
    except ZeroDivisionError:
        failure()


def functions(frames: Any) -> list[str]:
    return [frame["function"] for frame in frames]


@promise(
    Section.FAILURES,
    "Text and extra of a logged exception reach every tracker, scrubbed, with any settings",
    broken_by="no context; not sent to booboo; no attributes; the names of every record's own attributes not left out",
)
@pytest.mark.parametrize("wire", ["booboo", "backtrace"])
@pytest.mark.parametrize("options", [{}, {"log_breadcrumbs": "off"}, {"log_events": "INFO"}])
def test_text_and_extra_of_a_logged_exception_arrive(
    wire: str, options: dict[str, Any], tmp_path: Path, log: logging.Logger
) -> None:
    """Also without breadcrumbs; secrets are removed and objects become texts."""
    lastword.init(spool=tmp_path, **options)
    lastword.set_context("order", {"id": 7})
    extra = {"customer": "-".join(["ada", "4711"]), "password": "hunter2", "at": date(2026, 1, 1), "rows": [1, 2]}
    fails(lambda: log.exception("payment of order %d failed, token=%s", 17, "".join(["s3c", "r3t"]), extra=extra))
    log.error("no exception", extra={"customer": "bob"})
    lastword.set_context("order", None)
    event, message = events(tmp_path)
    assert event["contexts"]["order"] == {"id": 7}
    said = {
        "customer": "ada-4711",
        "password": "[filtered]",
        "at": "2026-01-01",
        "rows": [1, 2],
        "message": "payment of order 17 failed, token=[filtered]",
    }
    assert event["contexts"]["logging"] == said
    assert message["contexts"]["logging"] == {"customer": "bob"}
    dsn = {"booboo": "booboo+http://t@h/o/p", "backtrace": "backtrace+http://h?token=t"}[wire]
    body = FORMATS[wire].request(event, destination(dsn)).body.decode()
    if wire == "booboo":
        assert json.loads(body)["context"]["logging"] == said
    else:
        report = json.loads(body[body.index("{") : body.rindex("}") + 1].partition("\r\n--")[0])
        assert report["annotations"]["logging"] == said
        assert report["attributes"]["logging.message"] == said["message"]
        assert report["attributes"]["logging.customer"] == "ada-4711"
        assert "logging.rows" not in report["attributes"]
    assert "s3cr3t" not in body + json.dumps(events(tmp_path))


def test_asyncio_records_are_not_reported_where_records_are_no_events(tmp_path: Path) -> None:
    """As the drop-ins have it, whose reports are those of other packages."""
    for choice, contexts in (("off", []), ("ERROR", ["logging"])):
        lastword.init(spool=tmp_path / choice, log_events=choice)
        fails(lambda: logging.getLogger("asyncio").error("Task exception was never retrieved", exc_info=True))
        [event] = events(tmp_path / choice)
        assert list(event["contexts"]) == contexts
        assert event["mechanism"] == "asyncio"


def test_a_level_of_the_programs_own_is_named(tmp_path: Path, log: logging.Logger) -> None:
    """Beside the level that its number stands for."""
    logging.addLevelName(60, "AUDIT")
    lastword.init(spool=tmp_path)
    log.log(60, "ada signed in")
    log.critical("no")
    assert [(event["level"], event["tags"]) for event in events(tmp_path)] == [
        ("fatal", {"logger": "shop", "log_level": "AUDIT"}),
        ("fatal", {"logger": "shop"}),
    ]


@promise(
    Section.FAILURES,
    "The stack of a logged exception ends at the logging call, in no other thread",
    broken_by="the stack of the hook; logging's caller if the line is not found; the origin taken from the stack",
)
def test_stack_of_a_never_raised_exception_ends_at_the_logging_call(tmp_path: Path, log: logging.Logger) -> None:
    """Whichever call logged it; and so does the stack of a message."""
    lastword.init("backtrace+http://127.0.0.1:9?token=t", spool=tmp_path, flusher="hold")

    def work() -> None:
        log.error("it went wrong", exc_info=ValueError("never raised"))
        log.error("it went wrong", exc_info=(ValueError, ValueError("never raised"), None))
        logging.LoggerAdapter(log, {}).error("it went wrong", exc_info=ValueError("never raised"))

    def helper() -> None:
        log.error("it went wrong", exc_info=ValueError("never raised"), stacklevel=2)

    def uses_helper() -> None:
        helper()
        log.error("a message")

    work()
    uses_helper()
    found = events(tmp_path)
    stacks = [event["exceptions"][0]["frames"] if event["exceptions"] else event["stack"] for event in found]
    assert [functions(stack)[-1] for stack in stacks] == ["work"] * 3 + ["uses_helper"] * 2
    assert len({event["exceptions"][0]["frames"][-1]["line"] for event in found[:3]}) == 3


def test_flood_of_never_raised_exceptions_is_counted_by_logging_line(tmp_path: Path, log: logging.Logger) -> None:
    """By the program's line, not by a line of the logging module, which all records share."""
    lastword.init(spool=tmp_path, flood_burst=1)
    for _ in range(2):
        log.error("one", exc_info=ValueError("x"))
        log.error("other", exc_info=ValueError("x"))
    assert [event["contexts"]["logging"]["message"] for event in events(tmp_path)] == ["one", "other"]


class Propagates(logging.Handler):
    """How loguru's documentation has its records reach logging."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger(record.name).handle(record)


@promise(Section.FAILURES, "The stack of a logged exception ends at the logging call, in no other thread")
@pytest.mark.parametrize("enqueue", [False, True])
def test_stack_is_not_that_of_logurus_writer_thread(enqueue: bool, tmp_path: Path) -> None:
    """loguru's writer thread, with ``enqueue=True``; without it, the stack is the caller's."""
    lastword.init("backtrace+http://127.0.0.1:9?token=t", spool=tmp_path, flusher="hold")
    logger = logging.getLogger(__name__)
    logger.propagate = False
    loguru.logger.remove()
    sink = loguru.logger.add(Propagates(), format="{message}", enqueue=enqueue)
    try:
        loguru.logger.opt(exception=ValueError("never raised")).error("it went wrong")
        loguru.logger.error("a message")
        loguru.logger.complete()
    finally:
        loguru.logger.remove(sink)
        logger.propagate = True
    first, second = events(tmp_path)
    frames = first["exceptions"][0]["frames"]
    here = "test_stack_is_not_that_of_logurus_writer_thread"
    for stack in (frames, second["stack"]):
        assert functions(stack)[-1] == here
        assert (len(stack) == 1) is enqueue
        assert stack[-1]["path"] == __file__
    assert first["contexts"]["logging"]["message"].startswith("it went wrong")


@promise(Section.FAILURES, "The stack of a logged exception ends at the logging call, in no other thread")
def test_stack_is_not_that_of_a_queue_listener(tmp_path: Path, log: logging.Logger) -> None:
    """A listener that hands records to a logger, from its thread."""
    lastword.init("backtrace+http://127.0.0.1:9?token=t", spool=tmp_path, flusher="hold")
    records: queue.Queue[Any] = queue.Queue()
    source = logging.getLogger("quiet")
    source.handlers, source.propagate, source.disabled = [QueueHandler(records)], False, False
    listener = QueueListener(records, Propagates())
    record = source.makeRecord("shop", 40, __file__, 7, "%s", ("handed on",), None, "work")
    source.handlers[0].handle(record)
    listener.start()
    listener.stop()
    source.handlers, source.propagate = [], True
    [event] = events(tmp_path)
    assert [(frame["function"], frame["line"]) for frame in event["stack"]] == [("work", 7)]


def structured(*processors: Any) -> Any:
    """structlog, on top of logging."""
    structlog.configure(
        processors=[structlog.stdlib.add_log_level, structlog.processors.TimeStamper(), *processors],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    return structlog.get_logger("shop")


WRAPPED = structlog.stdlib.ProcessorFormatter.wrap_for_formatter
WAYS_OF_STRUCTLOG: dict[str, tuple[Any, ...]] = {
    "wrapped": (WRAPPED,),
    "wrapped, formatted before": (structlog.processors.format_exc_info, WRAPPED),
    "wrapped, as dicts": (structlog.processors.dict_tracebacks, WRAPPED),
    "as keywords": (structlog.stdlib.render_to_log_kwargs,),
    "as JSON": (structlog.processors.format_exc_info, structlog.processors.JSONRenderer()),
    "as text": (structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),),
}


@promise(Section.FAILURES, "An exception logged by structlog is one event", broken_by="each of its ways not looked for")
@pytest.mark.parametrize("way", WAYS_OF_STRUCTLOG)
def test_an_exception_of_structlog_is_one_event(way: str, tmp_path: Path, log: logging.Logger) -> None:
    """That of the exception, with what was said and its values, however it reaches logging; raised on, no other."""
    lastword.init(spool=tmp_path)
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=structlog.processors.JSONRenderer()))
    log.addHandler(handler)
    structured_log = structured(*WAYS_OF_STRUCTLOG[way])

    def work() -> None:
        try:
            1 / 0  # noqa: B018
        except ZeroDivisionError:
            structured_log.error("order failed", order=17, exc_info=True)
            raise

    caught: list[Any] = []
    hook, threading.excepthook = threading.excepthook, caught.append
    lastword.init(spool=tmp_path)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    listener.uninstall()
    threading.excepthook = hook
    assert len(caught) == 1
    [event] = events(tmp_path)
    assert [one["type"] for one in event["exceptions"]] == ["ZeroDivisionError"]
    assert functions(event["exceptions"][0]["frames"])[-1] == "work"
    logged = event["contexts"]["logging"]
    assert "order failed" in logged["message"]
    assert logged.get("order", 17) == 17
    if way.startswith(("wrapped", "as keywords")):
        assert logged["message"] == "order failed"
        assert logged["order"] == 17
        assert not {"_logger", "_name", "exc_info", "exception"} & {*logged}


@promise(
    Section.FAILURES,
    "An exception that structlog logs in its own thread is kept",
    broken_by="none of three taken for the logged one",
)
def test_structlog_in_a_thread_of_its_own_keeps_the_exception(tmp_path: Path, log: logging.Logger) -> None:
    """``aexception`` logs where none is handled, so that logging finds none."""
    lastword.init(spool=tmp_path)
    structured_log = structured(WRAPPED)

    async def work() -> None:
        try:
            1 / 0  # noqa: B018
        except ZeroDivisionError:
            await structured_log.aexception("order failed", order=17)

    asyncio.run(work())
    listener.uninstall()
    [event] = events(tmp_path)
    assert [one["type"] for one in event["exceptions"]] == ["ZeroDivisionError"]
    assert functions(event["exceptions"][0]["frames"])[-1] == "work"
    assert event["contexts"]["logging"]["order"] == 17


def test_structlog_without_an_exception_is_a_message(tmp_path: Path, log: logging.Logger) -> None:
    """With its values beside it; an exception that was given is shown."""
    lastword.init(spool=tmp_path)
    structured(WRAPPED).error("order failed", order=17)
    structured(WRAPPED).error("order failed", exc_info=ValueError("given"))
    structured(WRAPPED).error("order failed", exc_info=False)
    message, given, third = events(tmp_path)
    assert (message["message"], message["contexts"]["logging"]) == ("order failed", {"order": 17})
    assert given["exceptions"][0]["value"] == "given"
    assert third["message"] == "order failed"


def test_logged_traceback_text_gives_the_handled_exception(tmp_path: Path, log: logging.Logger) -> None:
    """Where it is that of the one being handled, and of no other."""
    lastword.init(spool=tmp_path)
    fails(lambda: log.error("failed: %s", traceback.format_exc()))
    log.error("failed: %s", "Traceback (most recent call last)\nZeroDivisionError")
    fails(lambda: log.error("failed: %s", "Traceback (most recent call last)\nKeyError: 'x'"))
    fails(lambda: log.error("failed: ZeroDivisionError"))
    assert [bool(event["exceptions"]) for event in events(tmp_path)] == [True, False, False, False]


@promise(
    Section.FAILURES,
    "A logger with a filter of its own is heard once",
    broken_by="classes not looked for; later ones; reported by each filter on the way",
)
def test_a_logger_with_a_filter_of_its_own_is_heard(tmp_path: Path) -> None:
    """Once, whatever its class asks of those above, made before ``init`` or after; what it does not pass is not."""

    def made(name: str, above: type[logging.Logger], asks_above: bool) -> Any:
        def filter(self: Any, record: Any) -> Any:
            passes = "secret" not in record.getMessage()
            return passes and (super(cls, self).filter(record) if asks_above else True)

        cls: Any = type(name, (above,), {"filter": filter})
        return cls

    early = made("Early", logging.Logger, asks_above=False)
    asking = made("Asking", logging.Logger, asks_above=True)
    lastword.init(spool=tmp_path)
    later = made("Later", logging.Logger, asks_above=False)
    below = made("Below", asking, asks_above=True)
    plain = type("Plain", (early,), {})

    class Mixin:
        def filter(self, record: Any) -> bool:
            return "secret" not in record.getMessage()

    mixed: Any = type("Mixed", (Mixin, logging.Logger), {})
    for cls in (early, asking, later, below, plain, mixed):
        logger = cls(cls.__name__)
        logger.addHandler(logging.NullHandler())
        logger.error("heard")
        logger.error("secret")
    assert [event["tags"]["logger"] for event in events(tmp_path)] == [
        "Early",
        "Asking",
        "Later",
        "Below",
        "Plain",
        "Mixed",
    ]
    before = dict(vars(early))
    listener.uninstall()
    assert vars(early)["filter"] is not before["filter"]
    assert "__init_subclass__" not in vars(logging.Logger)
    early("Early").error("not heard")
    lastword.init(spool=tmp_path)
    logger = early("Again")
    logger.addHandler(logging.NullHandler())
    logger.error("heard")
    assert len(events(tmp_path)) == 7


def test_odd_records_cost_nothing(tmp_path: Path, log: logging.Logger) -> None:
    """Names, extras and messages that are not what they should be."""

    class Odd:
        def __bool__(self) -> bool:
            raise RuntimeError

        __str__ = __bool__  # type: ignore[assignment]

    lastword.init(spool=tmp_path)
    log.error("x", extra={"odd": Odd(), "many": [Odd()] * 1000, "long": "x" * 100_000})
    structured(WRAPPED).error(Odd(), exc_info=Odd())
    log.handle(logging.makeLogRecord({"levelno": 40, "name": "shop", "msg": "made", "exc_info": ()}))
    log.handle(logging.makeLogRecord({"levelno": 40, "name": "shop", "msg": {"_logger": 1}, "levelname": 7}))
    found = events(tmp_path)
    assert len(found) == 4
    assert len(json.dumps(found[0]["contexts"])) < 17_000
    assert found[0]["contexts"]["logging"]["odd"].startswith("<unprintable")
    assert sys.exc_info() == (None, None, None)
