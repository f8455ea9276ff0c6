"""``lastword demo``: the promise, shown on this machine.

A real gunicorn and a real Celery worker raise some hundred errors. Workers are killed (SIGKILL) when they have just
answered, and the tracker, a loopback one, is away for some seconds in the middle. In the end every error that was
acknowledged is looked for at the tracker.
"""

from __future__ import annotations

import importlib.util
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Optional

from lastword.cli.demo_plan import FULL, Plan
from lastword.cli.demo_screen import open_screen

if TYPE_CHECKING:
    from lastword.cli.demo_run import Outcome

_NEEDED = ("gunicorn", "celery")


def run(backtrace: bool = False, spool: Optional[Path] = None, plan: Plan = FULL) -> int:
    """Run the demo and print what it does and what came of it.

    Args:
        backtrace: use Backtrace's format instead of booboo's.
        spool: the spool directory to use; by default a temporary one.
        plan: how much to do.

    Returns:
        The exit status: 0 when every error was delivered; 1 when not, when none was raised, or when a server failed;
        2 when something is not installed; 128 + the signal's number when interrupted.
    """
    missing = [module for module in _NEEDED if importlib.util.find_spec(module) is None]
    if missing:
        print(f"lastword demo needs {' and '.join(missing)}: pip install 'lastword[demo]'", file=sys.stderr)
        return 2
    from lastword.cli.demo_run import perform
    from lastword.cli.demo_servers import ServerError

    with closing(open_screen()) as screen:
        try:
            with _signals_raise():
                outcome = perform("backtrace" if backtrace else "booboo", spool, plan, screen)
        except ServerError as error:
            print(f"lastword demo: FAILED: {error}", file=sys.stderr)
            return 1
        except _Interrupted as interruption:
            print("lastword demo: interrupted; everything it had started is gone", file=sys.stderr)
            return 128 + interruption.signal
        screen.table(_rows(outcome))
    complaint = _complaint(outcome)
    print(f"lastword demo: {'FAILED: ' + complaint if complaint else 'every error was delivered'}")
    print(
        f"lastword demo: lost {outcome.lost} of {outcome.raised} errors, "
        f"with {outcome.killed} workers killed and the tracker away for {plan.outage:g} s"
    )
    return 1 if complaint else 0


def _rows(outcome: Outcome) -> list[tuple[str, str, str]]:
    return [
        ("raised", str(outcome.raised), f"{outcome.in_gunicorn} in gunicorn, {outcome.in_celery} in Celery"),
        ("delivered", str(outcome.delivered), "found at the tracker"),
        ("held", str(outcome.held), "still in the spool"),
        ("lost", str(outcome.lost), outcome.why_lost),
        ("duplicates", str(outcome.duplicates), "delivered once more"),
        ("slowest capture", f"{outcome.slowest:.1f} ms", ""),
    ]


def _complaint(outcome: Outcome) -> str:
    if not outcome.raised:
        return "no error was raised"
    if outcome.lost:
        return f"lost {outcome.lost} errors ({outcome.why_lost})"
    if outcome.held:
        return f"{outcome.held} errors are still held, although the tracker is back"
    return ""


class _Interrupted(BaseException):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Ctrl-C and SIGTERM raise _Interrupted once; while that is being dealt with, further ones do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, _frame: Optional[FrameType]) -> None:
        for each in previous:
            signal.signal(each, signal.SIG_IGN)
        raise _Interrupted(number)

    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in previous:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
