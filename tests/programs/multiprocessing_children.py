"""Children that multiprocessing starts in every way, each of which reports once: ``METHOD [silent]``.

*silent*: with a hook that cannot be pickled, so that children started anew report nothing.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import lastword


def strip(event: Any) -> Any:
    event["tags"]["hook"] = "was here"
    return event


if __name__ == "__main__":
    hook = (lambda event: strip(event)) if "silent" in sys.argv else strip
    lastword.init(spool=os.environ["TEST_SPOOL"], environment="parent's", before_send=hook, flood_burst=0)

import concurrent.futures  # noqa: E402 - after init, as in programs
import multiprocessing  # noqa: E402


def report(name: str) -> str:
    assert lastword.capture_message(name) is not None or "silent" in sys.argv
    return name


def grandchild(method: str) -> None:
    context: Any = multiprocessing.get_context(method)
    process = context.Process(target=report, args=("grandchild",))
    process.start()
    process.join()


class Subclass(multiprocessing.Process):
    def run(self) -> None:
        report("subclass")


def main(method: str) -> None:
    context: Any = multiprocessing.get_context(method)
    multiprocessing.set_start_method(method)
    children = [
        context.Process(target=report, args=("process",)),
        Subclass(),
        context.Process(target=grandchild, args=(method,)),
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
    with context.Pool(1) as pool:
        print(pool.map(report, ["pool"]))
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
        print(list(executor.map(report, ["executor"])))


if __name__ == "__main__":
    main(sys.argv[1])
