"""``lastword demo``: show on this machine that no acknowledged error is lost.

A real gunicorn and a real Celery worker raise some hundred errors. Workers are killed (SIGKILL) right after they have
answered, and the loopback tracker is down for some seconds in the middle. At the end the demo checks that every
acknowledged error arrived at the tracker.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Callable, Union

from lastword.cli import output
from lastword.cli.demo.plan import FULL, Plan
from lastword.cli.demo.screen import open_screen
from lastword.cli.demo.servers import ServerError
from lastword.errors import SpoolError

_NEEDED = ("gunicorn", "celery")


def run(backtrace: bool = False, spool: Union[str, os.PathLike[str], None] = None, plan: Plan = FULL) -> int:
    """Run the demo; print its progress and its result.

    Args:
        backtrace: use Backtrace's format instead of booboo's.
        spool: the spool directory to use; by default a temporary one.
        plan: how much to do.

    Returns:
        The exit status: 0 if every error was delivered; 1 if not, if none was raised, or if a server or the spool
        failed; 2 if a package is not installed; 128 + the signal's number if interrupted.
    """
    missing = [module for module in _NEEDED if importlib.util.find_spec(module) is None]
    if missing:
        output.line(f"lastword demo needs {' and '.join(missing)}: pip install 'lastword[demo]'", error=True)
        return 2
    with closing(open_screen()) as screen:
        try:
            with _signals_end_it() as check:
                # Here, because it imports Celery, which may be missing and takes long to import.
                from lastword.cli.demo.performance import perform

                wire = "backtrace" if backtrace else "booboo"
                report = perform(wire, None if spool is None else Path(spool), plan, screen, check)
        except (ServerError, SpoolError) as error:
            output.lines(f"lastword demo: FAILED: {error}", error=True)
            return 1
        except _Interrupted as interruption:
            output.line("lastword demo: interrupted", error=True)
            return 128 + interruption.signal
        screen.table(report.outcome.rows())
    if report.unsettled:
        output.line(f"lastword demo: by the accounts of the spool: {report.unsettled}")
    complaint = report.outcome.complaint
    output.line(
        f"lastword demo: {'FAILED: ' + complaint if complaint else 'every error was delivered'}: "
        f"lost {report.outcome.lost} of {report.outcome.raised}, "
        f"with {report.killed} workers killed and the tracker away for {plan.outage:g} s"
    )
    return 1 if complaint else 0


class _Interrupted(Exception):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


@contextmanager
def _signals_end_it() -> Iterator[Callable[[], None]]:
    """Provide a function that raises _Interrupted after Ctrl-C or SIGTERM.

    The signal itself raises nothing, so no server is left half started or half stopped.
    """
    received: list[int] = []

    def check() -> None:
        if received:
            raise _Interrupted(received[0])

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = [signal.signal(number, lambda number, _frame: received.append(number)) for number in numbers]
    try:
        yield check
    finally:
        for number, handler in zip(numbers, previous):
            signal.signal(number, handler)
