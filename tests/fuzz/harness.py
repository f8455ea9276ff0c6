"""One input: what it may cost, and what it may do. Many inputs: until one is found that costs or does more."""

from __future__ import annotations

import resource
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Callable, Optional

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning

#: Seconds that an input may take: of the processor's time, and of the clock, which on a busy machine is much more.
MOST_WORK, MOST_WAIT = 2.0, 20.0

#: Bytes that the process may grow by.
MOST_MEMORY = 64 << 20

#: Seconds in which an input that fails is made smaller.
_SHRINKING = 15.0

_CLEAR_REFS, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


class Failure(Exception):
    """An input did what none may; ``kind`` is equal for inputs that fail alike."""

    def __init__(self, kind: str, told: str = "") -> None:
        super().__init__(f"{kind}\n{told}".rstrip())
        self.kind = kind


class Overdue(BaseException):
    """Raised in the midst of an input that takes too long."""


@dataclass(frozen=True)
class Target:
    """What is given hostile input.

    Attributes:
        cases: the inputs, of texts, bytes, numbers, lists and dicts.
        check: tries one; raises Failure for what it must not do, and nothing else.
        touched: what it changed that it must not; '' where nothing.
        steps: how many things it does with one input, each of which may take its time.
    """

    name: str
    cases: st.SearchStrategy[Any]
    check: Callable[[Any], None]
    touched: Callable[[], str] = lambda: ""
    steps: int = 1


@dataclass(frozen=True)
class Found:
    """An input that failed, as small as it could be made."""

    case: Any
    failure: Failure


def examine(target: Target, case: Any) -> None:
    """Try one input; raises Failure."""
    before = _resident("VmRSS")
    with suppress(OSError):
        _CLEAR_REFS.write_text("5")  # the peak counts from here
    try:
        with _limited_time(target.steps), _watched_threads():
            target.check(case)
    except Failure:
        raise
    except Overdue:
        raise Failure("it hangs", traceback.format_exc()) from None
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise Failure(f"{type(error).__name__} in {_where(error)}", traceback.format_exc()) from None
    grown = _resident("VmHWM") - before
    if grown > MOST_MEMORY:
        raise Failure("memory", f"it took {grown >> 20} MiB")
    if _forbidden:
        raise _forbidden.pop()
    if touched := target.touched():
        raise Failure("touched", f"it changed what is not its own: {touched}")


def hunt(target: Target, number: int, *, most: int, until: float, known: set[str]) -> tuple[int, Optional[Found]]:
    """Try ``most`` inputs, those that ``number`` makes, or as many as there is time for (by the monotonic clock); how
    many were tried, and the first that failed in a way that is not ``known``.
    """
    tried = 0
    found: list[Found] = []

    # Without a database: what is found goes to the corpus, in a form that outlives the strategies.
    @seed(number)
    @settings(
        max_examples=most,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=Verbosity.quiet,
    )
    @given(target.cases)
    def attempt(case: Any) -> None:
        nonlocal tried, until
        if time.monotonic() > until:
            return
        tried += 1
        try:
            examine(target, case)
        except Failure as failure:
            if failure.kind in known or (found and found[-1].failure.kind != failure.kind):
                return
            if not found:
                until = time.monotonic() + _SHRINKING
            found.append(Found(case, failure))
            raise

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HypothesisWarning)  # of inputs that are large
            attempt()
    except Exception:  # also Hypothesis's own, of an input that fails no more once its time is over
        if not found:
            raise
    return tried, found[-1] if found else None


def _where(error: BaseException) -> str:
    """The innermost line of lastword that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/lastword/" in frame.filename] or frames
    return f"{'/'.join(Path(own[-1].filename).parts[-2:])}, {own[-1].name}"


@contextmanager
def _limited_time(steps: int) -> Iterator[None]:
    """Raises Overdue in this thread, the main one."""

    def overdue(_: int, frame: Optional[FrameType]) -> None:
        raise Overdue

    began = time.monotonic()
    handlers = {number: signal.signal(number, overdue) for number in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, MOST_WORK * steps)
    others, _ = signal.setitimer(signal.ITIMER_REAL, MOST_WAIT * steps)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        # That of the test runner goes on.
        signal.setitimer(signal.ITIMER_REAL, max(others - (time.monotonic() - began), 0.1) if others else 0.0)
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def _watched_threads() -> Iterator[None]:
    """What a thread raises counts as well."""
    raised: list[threading.ExceptHookArgs] = []
    before, threading.excepthook = threading.excepthook, raised.append
    try:
        yield
    finally:
        threading.excepthook = before
    for told in raised:
        if told.exc_value is not None:
            raise told.exc_value


def _resident(field: str) -> int:
    """Bytes, as /proc has it; 0 where there is none."""
    try:
        lines = _STATUS.read_text("ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith(f"{field}:")), 0)


_MOST_ADDRESSES = 4 << 30
_LOOPBACK = ("127.0.0.1", "localhost")
_STARTS = ("subprocess.Popen", "os.posix_spawn", "os.system", "os.exec", "os.fork", "os.forkpty")
_forbidden: list[Failure] = []


def guard_the_process() -> None:
    """From now on this process connects to the loopback alone, starts no other one, and cannot use up the memory of the
    machine. There is no way back.
    """

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        address = arguments[1] if event == "socket.connect" else arguments if event == "socket.getaddrinfo" else None
        host = address[0] if isinstance(address, tuple) else _LOOPBACK[0]
        if event in _STARTS or host not in _LOOPBACK:
            _forbidden.append(Failure(event, f"{arguments!r:.300}"))
            raise _forbidden[-1]  # which may be caught on its way

    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    most = _MOST_ADDRESSES if hard == resource.RLIM_INFINITY else min(_MOST_ADDRESSES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    sys.addaudithook(look)
