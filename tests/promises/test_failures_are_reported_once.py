"""The promise: what fails where nobody looks is reported, once, and the program does what it did without lastword."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.support.programs import recorded
from tests.support.promise import Section, promise

IMPORTS = "import gc, logging, os, sys, threading, warnings"
SETUP = 'import lastword; lastword.init(spool=os.environ["TEST_SPOOL"], **eval(os.environ["TEST_OPTIONS"]))'


def program(body: str, path: Path, *, setup: str = SETUP) -> Path:
    """Written to ``path``; every line of ``body`` has the same number whatever ``setup`` is."""
    imports = IMPORTS + ", asyncio" * ("asyncio" in body)  # which takes longer to load than all the rest
    path.write_text(f"{imports}\n{setup}\n{textwrap.dedent(body)}")
    return path


def outcome(body: str, tmp_path: Path, **options: Any) -> tuple[list[tuple[str, bool, str, str]], str]:
    """Run a program; returns (mechanism, handled, level, what) of each event, and what it said on standard error."""
    path, spool = program(body, tmp_path / "program.py"), tmp_path / "spool"
    environment = {"PATH": "/usr/bin:/bin", "TEST_SPOOL": str(spool), "TEST_OPTIONS": repr(options)}
    ended = subprocess.run(
        [sys.executable, str(path)], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    events = [record.content for record in recorded(spool)]
    return [(event["mechanism"], event["handled"], event["level"], what(event)) for event in events], ended.stderr


def what(event: dict[str, Any]) -> str:
    return str(event["message"] or "") or f"{event['exceptions'][0]['type']}({event['exceptions'][0]['value']})"


WAYS: dict[str, tuple[str, tuple[str, bool, str, str]]] = {
    "ends the program": ("raise ValueError('x')", ("sys.excepthook", False, "fatal", "ValueError(x)")),
    "ends a thread": (
        """
        thread = threading.Thread(target=lambda: int("x"))
        thread.start(); thread.join()
        """,
        (
            "threading.excepthook",
            False,
            "fatal",
            "ValueError(invalid literal for int() with base 10: 'x')",
        ),
    ),
    "in a finalizer": (
        """
        class Leaky:
            def __del__(self):
                raise ValueError("x")
        Leaky(); gc.collect()
        """,
        ("sys.unraisablehook", False, "error", "ValueError(x)"),
    ),
    "in a task that nobody awaits": (
        """
        async def fail():
            raise ValueError("x")
        async def main():
            task = asyncio.ensure_future(fail())
            await asyncio.sleep(0.01)
            del task; gc.collect()
        asyncio.run(main())
        """,
        ("asyncio", False, "error", "ValueError(x)"),
    ),
    "in a callback of a loop": (
        """
        async def main():
            asyncio.get_running_loop().call_soon(int, "x")
            await asyncio.sleep(0.01)
        asyncio.run(main())
        """,
        ("asyncio", False, "error", "ValueError(invalid literal for int() with base 10: 'x')"),
    ),
    "is logged with its exception": (
        """
        try: raise ValueError("x")
        except ValueError: logging.getLogger("shop").exception("while paying")
        """,
        ("logging", True, "error", "ValueError(x)"),
    ),
    "is logged as a message": (
        "logging.getLogger('shop').error('%d orders lost', 3)",
        ("logging", True, "error", "3 orders lost"),
    ),
    "is logged as critical": ("logging.critical('gone')", ("logging", True, "fatal", "gone")),
    "is logged by a logger that does not propagate": (
        "logger = logging.getLogger('a.b'); logger.propagate = False; logger.error('x')",
        ("logging", True, "error", "x"),
    ),
    "passes through catch": (
        """
        @lastword.catch()
        def work(): raise ValueError("x")
        with lastword.catch(): work()
        """,
        ("catch", True, "error", "ValueError(x)"),
    ),
    "is logged, and ends the program": (
        """
        try: raise ValueError("x")
        except ValueError:
            logging.exception("x")
            raise
        """,
        ("logging", True, "error", "ValueError(x)"),
    ),
    "is captured, logged, and ends a thread": (
        """
        class OwnError(Exception): pass
        def work():
            try: raise OwnError("x")
            except OwnError as error:
                lastword.capture_exception()
                logging.exception("x")
                raise
        thread = threading.Thread(target=work)
        thread.start(); thread.join()
        """,
        ("capture_exception", True, "error", "OwnError(x)"),
    ),
    "is dropped, and ends a thread": (
        """
        lastword.init(
            spool=os.environ["TEST_SPOOL"],
            before_send=lambda event: None if event["tags"].get("logger") == "chatty" else event,
        )
        def work():
            try: raise ValueError("x")
            except ValueError:
                logging.getLogger("chatty").exception("x")
                raise
        thread = threading.Thread(target=work)
        thread.start(); thread.join()
        """,
        ("threading.excepthook", False, "fatal", "ValueError(x)"),
    ),
    "is logged and captured": (
        """
        try: raise ValueError("x")
        except ValueError:
            logging.exception("x")
            assert len(lastword.capture_exception()) == 32
        """,
        ("logging", True, "error", "ValueError(x)"),
    ),
}


@promise(
    Section.FAILURES,
    "A failure is reported once, by the first hook that sees it",
    broken_by="mark not checked, by hooks; by `capture_exception`",
)
@promise(
    Section.FAILURES,
    "An exception whose event was dropped is reported when it ends the program",
    broken_by="marked, whatever became of the event",
)
@pytest.mark.parametrize("way", WAYS)
def test_failure_is_reported_once(way: str, tmp_path: Path) -> None:
    """By the first hook that sees it."""
    body, expected = WAYS[way]
    events, _ = outcome(body, tmp_path)
    assert events == [expected]


SAYS: dict[str, str] = {
    "lastResort": "logging.getLogger('shop').error('no handler'); logging.warning('root')",
    "last resort of a library": "logging.getLogger('shop').error('no handler')",
    "basicConfig after init": "logging.basicConfig(format='%(name)s %(message)s'); logging.getLogger('a').error('b')",
    "basicConfig by itself": "logging.error('x'); logging.info('not shown')",
    "dictConfig": """
        import logging.config
        logging.config.dictConfig({"version": 1, "handlers": {"h": {"class": "logging.StreamHandler"}},
                                   "root": {"handlers": ["h"]}})
        logging.error("x")
        """,
    "a record that does not fit": "logging.basicConfig(); logging.error('%d', 'x')",
    "filters": """
        logging.basicConfig()
        logging.getLogger().addFilter(lambda record: "secret" not in record.getMessage())
        logging.error("secret"); logging.error("open")
        """,
    "the stack of a call": "logging.basicConfig(); logging.getLogger('a').error('x', stack_info=True)",
    "warnings": "warnings.warn('deprecated thing'); logging.captureWarnings(True); warnings.warn('captured')",
    "a thread that fails": "t = threading.Thread(target=lambda: 1 / 0, name='t'); t.start(); t.join()",
    "a finalizer that fails": "Leaky = type('Leaky', (), {'__del__': lambda self: 1 / 0}); Leaky(); gc.collect()",
    "a loop that fails": """
        async def main():
            asyncio.get_running_loop().call_soon(int, "x")
            await asyncio.sleep(0.01)
        asyncio.run(main())
        """,
    "an end by an exception": "raise ValueError('x')",
}


@promise(
    Section.FAILURES,
    "The program's output is the same as without lastword",
    broken_by="a handler on the root logger; a wrapper around `callHandlers`",
)
@pytest.mark.parametrize("body", SAYS.values(), ids=list(SAYS))
def test_program_prints_the_same_as_without_lastword(body: str, tmp_path: Path) -> None:
    """Character by character, except addresses."""
    with_us, without = tmp_path / "a", tmp_path / "b"
    with_us.mkdir()
    without.mkdir()
    _, said = outcome(body, with_us)
    path = program(body, without / "program.py", setup="")
    expected = subprocess.run([sys.executable, str(path)], cwd=without, capture_output=True, text=True, timeout=60)

    def comparable(text: str) -> str:
        return re.sub(r"0x[0-9a-f]+", "…", text).replace(str(with_us), ".").replace(str(without), ".")

    assert said, "the program should say something"
    assert comparable(said) == comparable(expected.stderr)


@promise(
    Section.FAILURES, "Log levels can be chosen; asyncio is heard in any case", broken_by="asyncio's records like any"
)
def test_levels_can_be_chosen_and_logging_turned_off(tmp_path: Path) -> None:
    """Exceptions that only asyncio sees are reported in any case."""
    body = """
        logging.error("error")
        logging.critical("critical")
        async def main():
            asyncio.get_running_loop().call_soon(int, "x")
            await asyncio.sleep(0.01)
        asyncio.run(main())
        """
    for level, count in (("critical", 2), ("off", 1), ("error", 3)):
        directory = tmp_path / level
        directory.mkdir()
        events, _ = outcome(body, directory, log_events=level)
        assert len(events) == count, level


@promise(Section.FAILURES, "A message shows the line that logged it", broken_by="the stack of the hook")
def test_a_message_shows_the_line_that_logged_it(tmp_path: Path) -> None:
    """Neither logging's frames nor ours; with its logger as a tag."""
    body = """
        def pay():
            logging.getLogger("shop").error("x")
        def checkout():
            pay()
        checkout()
        """
    outcome(body, tmp_path)
    (record,) = recorded(tmp_path / "spool")
    assert [frame["function"] for frame in record.content["stack"]] == ["<module>", "checkout", "pay"]
    assert record.content["tags"] == {"logger": "shop"}


@promise(
    Section.FAILURES,
    "Lastword's own log and records of other processes are not reported",
    broken_by="name not compared; process not compared",
)
def test_our_own_log_is_never_reported(tmp_path: Path) -> None:
    """Nor is what another process has logged and this one handles."""
    body = """
        logging.getLogger("lastword").error("x")
        logging.getLogger("lastword.flusher").error("x")
        logging.getLogger("shop").handle(logging.makeLogRecord({"levelno": 40, "name": "shop", "process": 1}))
        """
    events, _ = outcome(body, tmp_path)
    assert events == []


def test_forked_child_reports_failures_like_its_parent(tmp_path: Path) -> None:
    """Whatever lock another thread held at the fork."""
    body = """
        logging.basicConfig()
        lock = logging.getLogger().handlers[0].lock
        ready, done = threading.Event(), threading.Event()
        def hold():
            with lock:
                ready.set(); done.wait()
        threading.Thread(target=hold).start()
        ready.wait()
        child = os.fork()
        if not child:
            logging.getLogger("child").error("in the child")
            os._exit(0)
        done.set()
        os.waitpid(child, 0)
        """
    events, _ = outcome(body, tmp_path)
    assert [what for *_, what in events] == ["in the child"]
