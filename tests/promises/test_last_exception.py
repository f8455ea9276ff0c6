"""The promise: what ends the program is reported once, whoever else hooks in, and nothing that did not end it is.

What the program prints is what it prints without lastword: others look whether a hook is Python's own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.programs import recorded
from tests.support.promise import Section, promise

SETUP = 'import lastword; lastword.init(spool=os.environ["TEST_SPOOL"])\n'
IMPORTS = "import atexit, code, gc, os, pdb, runpy, signal, sys, threading, traceback, warnings\n"


class Form(NamedTuple):
    """A program, and the (mechanism, level, type) of each event; ``how`` it is started, ``typed`` what it reads."""

    body: str
    events: list[tuple[str, str, str]]
    how: tuple[str, ...] = ()
    typed: str = ""


FATAL = ("sys.excepthook", "fatal", "ValueError")
CONSOLE = """
    class RemoteConsole(code.InteractiveConsole):
        def write(self, data):
            print("operator:", data, end="")
    console = RemoteConsole({})
    """

FORMS: dict[str, Form] = {
    "a script": Form("raise ValueError('x')", [FATAL]),
    "-c": Form("raise ValueError('x')", [FATAL], ("-c",)),
    "-m": Form("raise ValueError('x')", [FATAL], ("-m",)),
    "a module run by runpy": Form("exec(compile('raise ValueError', 'x.py', 'exec'))", [FATAL]),
    "standard input that is no terminal": Form("", [FATAL], ("-",), IMPORTS + SETUP + "raise ValueError('x')\n"),
    "-i, and typos after it": Form("raise ValueError('x')", [FATAL], ("-i",), "1 / 0\nfoo bar\n"),
    "rich": Form("\n\n\n\nimport rich.traceback; rich.traceback.install(); raise ValueError('x')", [FATAL]),
    "rich before init": Form(
        "import rich.traceback; rich.traceback.install(); lastword.init(spool=os.environ['TEST_SPOOL'])\n"
        "\n\n\n\nraise ValueError('x')",
        [FATAL],
    ),
    "a hook of its own": Form("sys.excepthook = lambda *_: print('own hook')\nraise ValueError('x')", [FATAL]),
    "a hook of its own that calls Python's own": Form(
        "sys.excepthook = lambda *given: sys.__excepthook__(*given)\nraise ValueError('x')", [FATAL]
    ),
    "a hook of its own, with a thread that stays": Form(
        """
        if isinstance(lastword, type): raise SystemExit  # without us
        sys.excepthook = lambda *_: print('own hook')
        def wait_for_the_event():
            segments = "v1/writers/*/0*.seg"
            spool = __import__("pathlib").Path(os.environ["TEST_SPOOL"])
            while not sum(segment.stat().st_size for segment in spool.glob(segments)):
                __import__("time").sleep(0.01)
            os._exit(3)
        threading.Thread(target=wait_for_the_event).start()
        raise ValueError('x')
        """,
        [FATAL],
    ),
    "killed right behind the traceback": Form(
        """
        class Ends:
            def write(self, text):
                os.write(2, text.encode())
                if "ValueError" in text and "raise" not in text:
                    os.kill(os.getpid(), signal.SIGKILL)
            def flush(self):
                pass
        sys.stderr = Ends()
        raise ValueError('x')
        """,
        [FATAL],
    ),
    "the hook put back": Form("sys.excepthook = sys.__excepthook__\nraise ValueError('x')", [FATAL]),
    "a forked child": Form(
        "child = os.fork()\nif not child: raise ValueError('x')\nos.waitpid(child, 0)",
        [FATAL],
    ),
    "a forked child under a hook of its own": Form(
        """
        sys.excepthook = lambda *_: print('own hook')
        child = os.fork()
        if not child: raise ValueError('x')
        os.waitpid(child, 0)
        """,
        [FATAL],
    ),
    "reported by hand, under a hook of its own": Form(
        """
        sys.excepthook = lambda *_: print('own hook')
        try: raise ValueError('x')
        except ValueError: lastword.capture_exception(); raise
        """,
        [("capture_exception", "error", "ValueError")],
    ),
    "an exit": Form("sys.exit(3)", []),
    "Ctrl-C": Form(
        "signal.signal(signal.SIGINT, signal.default_int_handler); os.kill(os.getpid(), signal.SIGINT); input()", []
    ),
    "Ctrl-C under a hook of its own": Form("sys.excepthook = lambda *_: print('own')\nraise KeyboardInterrupt", []),
    "handled, and printed by the hook of Python": Form(
        "try: 1 / 0\nexcept ZeroDivisionError: sys.__excepthook__(*sys.exc_info())\nprint('goes on')", []
    ),
    "printed by the hook of Python, and raised on": Form(
        """
        def work():
            try: raise ValueError("x")
            except ValueError as error:
                sys.__excepthook__(type(error), error, error.__traceback__)
                raise
        work()
        """,
        [FATAL],
    ),
    "a hook told by who has caught it": Form(
        "try: raise ValueError('x')\nexcept ValueError: sys.excepthook(*sys.exc_info())", [FATAL]
    ),
    "a remote console": Form(CONSOLE + "console.push('1 / 0'); console.push('foo bar')", []),
    "a console under a hook that chains": Form(
        "before = sys.excepthook\nsys.excepthook = lambda *given: before(*given)\n"
        + textwrap.dedent(CONSOLE)
        + "console.push('1 / 0'); console.push('foo bar')",
        [],
    ),
    "a console under a hook that calls nobody": Form(
        "sys.excepthook = lambda *_: print('own hook')\n" + textwrap.dedent(CONSOLE) + "console.push('1 / 0')", []
    ),
    "a console that is read from": Form("code.interact(banner='', exitmsg='')", [], (), "1 / 0\nfoo bar\n"),
    "what a test runner leaves behind": Form(
        """
        def test():
            raise ValueError("x")
        def run():
            try: test()
            except ValueError as error:
                sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__.tb_next
                sys.last_exc = error
        run()
        """,
        [],
    ),
    "a warning with its source": Form(
        "import tracemalloc; tracemalloc.start(3); warnings.simplefilter('always')\nopen('/dev/null')\ngc.collect()",
        [],
    ),
    "warnings that are recorded": Form(
        "with warnings.catch_warnings(record=True) as seen:\n    warnings.simplefilter('always')\n"
        "    warnings.warn('x')\nprint(len(seen), 'seen')\nwarnings.warn('y')",
        [],
    ),
    "warnings shown by the program": Form(
        "warnings.showwarning = lambda *given: print('own', *given[:2])\nwarnings.warn('x')", []
    ),
}


def start(form: Form, directory: Path, setup: str) -> subprocess.Popen[str]:
    directory.mkdir()
    text = IMPORTS + setup + textwrap.dedent(form.body)
    (directory / "program.py").write_text(text)
    ways: dict[tuple[str, ...], list[str]] = {
        ("-c",): ["-c", text],
        ("-m",): ["-m", "program"],
        ("-i",): ["-i", "program.py"],
        ("-",): ["-"],
    }
    how = ways.get(form.how, ["program.py"])
    environment = {"PATH": "/usr/bin:/bin", "TEST_SPOOL": str(directory / "spool"), "PYTHONPATH": str(directory)}
    return subprocess.Popen(
        [sys.executable, *how],
        env={**os.environ, **environment},
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def comparable(text: str, directory: Path, setup: str) -> str:
    """Without what differs by nature: addresses, directories, and the line that sets lastword up."""
    return text.replace(str(directory), ".").replace(setup.strip(), "")


if sys.version_info < (3, 11):
    FORMS["groups of the backport"] = Form(
        """
        from exceptiongroup import ExceptionGroup
        try: raise ExceptionGroup("several", [ValueError("first"), KeyError("second")])
        except ExceptionGroup: print(traceback.format_exc())
        raise ExceptionGroup("several", [ValueError("first"), KeyError("second")])
        """,
        [("sys.excepthook", "fatal", "ExceptionGroup")],
    )


@promise(
    Section.FAILURES,
    "An exception that ends the program is reported once, whatever replaces the hooks, starts the program or kills it",
    broken_by="no look back; no check before threads are waited for; `sys.excepthook` not checked at all",
)
@promise(
    Section.FAILURES,
    "Typed-in code, leftovers of a test runner, exceptions that were caught and printed, and Ctrl-C are not reported",
    broken_by="typed ones not told apart; printing callers not looked for; any last exception reported; "
    "Ctrl-C like any",
)
@promise(
    Section.FAILURES,
    "A program that checks whether a hook is Python's own behaves the same",
    broken_by="`sys.__excepthook__` left alone; `warnings.showwarning` hooked",
)
@pytest.mark.parametrize("name", FORMS)
def test_exception_that_ends_the_program_is_reported_once(name: str, tmp_path: Path) -> None:
    """Reported or not, the program prints, and ends, as it does without lastword."""
    form: Any = FORMS[name]
    without_us = "class lastword: init = capture_exception = staticmethod(lambda **_: None)\n"
    setups = {"with": SETUP, "without": without_us}
    programs = {key: start(form, tmp_path / key, setup) for key, setup in setups.items()}
    try:
        told = {
            key: comparable(
                program.communicate(form.typed.replace(SETUP, setups[key]), timeout=60)[0], tmp_path / key, ""
            )
            for key, program in programs.items()
        }
    finally:
        for program in programs.values():
            program.kill()
    events = [record.content for record in recorded(tmp_path / "with" / "spool")]
    assert [(event["mechanism"], event["level"], event["exceptions"][0]["type"]) for event in events] == form.events, (
        told["with"]
    )
    if "rich" not in name and "a thread that stays" not in name:
        assert told["with"] == told["without"]
        assert programs["with"].returncode == programs["without"].returncode
