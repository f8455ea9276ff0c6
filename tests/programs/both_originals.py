"""A program with both packages that lastword replaces, and children of all kinds; what arrives is what it writes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys

import backtracepython as bt
import booboo
from backtracepython.report import BacktraceReport
from booboo._client import BoobooClient


def tell(who: str) -> None:
    os.write(1, f"{who} {os.getpid()}\n".encode())
    booboo.capture_message(f"{who} {os.getpid()}")
    report = BacktraceReport()
    report.set_attribute("error.message", f"{who} {os.getpid()}")
    report.send()


def child(number: str) -> None:
    tell(f"child {number}")


booboo.init(os.environ["BOOBOO"])
bt.initialize(os.environ["BACKTRACE"], "TOKEN")


def main() -> None:
    assert type(booboo._client) is BoobooClient
    assert bt.BacktraceReport is BacktraceReport
    if sys.argv[1:]:
        tell(sys.argv[1])
        os.kill(os.getpid(), signal.SIGKILL)
    tell("parent")
    if os.fork() == 0:
        tell("forked")
        os._exit(0)
    os.wait()
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            pool.map(child, [method])
    if __name__ != "__main__":
        return
    subprocess.run([sys.executable, __file__, "python"])
    subprocess.run([sys.executable, "-m", "program", "module"])
    subprocess.run("exec python program.py shell", shell=True)


if __name__ == "__main__":
    main()
