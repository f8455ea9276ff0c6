"""One reporter of errors, in a process of its own, that captures when it is told to and says how long each call took.

    python -m tests.bench.contestant NAME URL DIRECTORY

It first writes one line of JSON: what importing and setting up cost. For each line that it then reads, a number, it
captures so many exceptions, ten frames of eight variables each, and writes the seconds that each call took. Calls are
some milliseconds apart, so that a reporter that sends in a thread of its own can do so in between.
"""

from __future__ import annotations

import json
import linecache
import os
import sys
import time
from collections.abc import Callable
from typing import Any

#: Takes an exception, which is being handled.
Report = Callable[[BaseException], object]

DEPTH = 10
PAUSE = 0.004


def lastword(url: str, directory: str) -> Report:
    import lastword

    lastword.init(f"booboo+http://token@{url}/org/project", spool=f"{directory}/lastword", flood_burst=0)
    return lambda error: lastword.capture_exception(error)


def booboo_sdk(url: str, directory: str) -> Report:
    import booboo

    booboo.init(f"http://token@{url}/org/project", endpoint=f"http://{url}")
    return lambda error: booboo.capture_exception(error)


def backtracepython(url: str, directory: str) -> Report:
    import backtracepython

    backtracepython.initialize(endpoint=f"http://{url}", token="token")
    return lambda error: backtracepython.send_last_exception()


def sentry_sdk(url: str, directory: str) -> Report:
    import sentry_sdk

    sentry_sdk.init(f"http://key@{url}/1")
    return lambda error: sentry_sdk.capture_exception(error)


def bugsnag(url: str, directory: str) -> Report:
    import bugsnag

    bugsnag.configure(
        api_key="0" * 32,
        endpoint=f"http://{url}",
        session_endpoint=f"http://{url}",
        auto_capture_sessions=False,
    )
    return lambda error: bugsnag.notify(error)


def rollbar(url: str, directory: str) -> Report:
    import rollbar

    rollbar.init("token", endpoint=f"http://{url}/api/1/", handler="thread")
    return lambda error: rollbar.report_exc_info()


def honeybadger(url: str, directory: str) -> Report:
    from honeybadger import honeybadger

    honeybadger.configure(api_key="key", endpoint=f"http://{url}", environment="production", force_report_data=True)
    return lambda error: honeybadger.notify(error)


def floor(url: str, directory: str) -> Report:
    """What no reporter can do without: the source, the variables, JSON, and one write."""
    descriptor = os.open(f"{directory}/floor", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def report(error: BaseException) -> None:
        frames, traceback = [], error.__traceback__
        while traceback is not None:
            frame, line = traceback.tb_frame, traceback.tb_lineno
            source = linecache.getlines(frame.f_code.co_filename, frame.f_globals)
            frames.append(
                {
                    "file": frame.f_code.co_filename,
                    "line": line,
                    "function": frame.f_code.co_name,
                    "source": source[max(0, line - 6) : line + 5],
                    "variables": {name: repr(value)[:200] for name, value in frame.f_locals.items()},
                }
            )
            traceback = traceback.tb_next
        event = {"type": type(error).__name__, "value": str(error), "timestamp": time.time(), "frames": frames}
        os.write(descriptor, json.dumps(event).encode() + b"\n")

    return report


CONTESTANTS = {
    contestant.__name__.replace("_sdk", "-sdk"): contestant
    for contestant in (floor, lastword, booboo_sdk, backtracepython, honeybadger, bugsnag, sentry_sdk, rollbar)
}


def call(depth: int, articles: list[int], order: dict[str, Any]) -> None:
    """Ten frames, each with eight variables."""
    price = depth / 3
    name = f"article {depth} of many"
    paid = depth % 2 == 0
    customer = None
    total = depth * 1000
    if depth == 1:
        raise ValueError(f"no price for {name}")
    call(depth - 1, list(articles), dict(order, total=total, paid=(paid, customer, price)))


def resident() -> int:
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(name: str, url: str, directory: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # some of them print

    def answer(value: object) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    before, began, computed = resident(), time.perf_counter(), time.process_time()
    report = CONTESTANTS[name](url, directory)
    answer({"wall": time.perf_counter() - began, "cpu": time.process_time() - computed, "bytes": resident() - before})
    for line in sys.stdin:
        answer([timed(report) for _ in range(int(line))])


def timed(report: Report) -> float:
    time.sleep(PAUSE)
    try:
        call(DEPTH, list(range(12)), {"id": 42, "name": "Ada"})
    except ValueError as error:
        began = time.perf_counter()
        report(error)
        return time.perf_counter() - began
    raise AssertionError("nothing was raised")


if __name__ == "__main__":
    main(*sys.argv[1:])
