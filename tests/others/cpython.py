"""CPython's own tests with lastword in the process and without: the same outcomes.

Needs the interpreter's ``test`` package.

    python -m tests.others.cpython                      all that lastword could touch; takes a quarter of an hour
    python -m tests.others.cpython test_logging --auto  one module, with a flusher that is started

lastword and its integrations are set up by a ``sitecustomize`` in every Python that reads one, as a platform would.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Optional
from xml.etree import ElementTree

import lastword
from tests.support.programs import remove_spool

MODULES = (
    "test_code_module",
    "test_warnings",
    "test_traceback",
    "test_logging",
    "test_threading",
    "test_subprocess",
    "test_asyncio",
    "test_concurrent_futures",
    "test_multiprocessing_fork",
    "test_multiprocessing_spawn",
    "test_multiprocessing_forkserver",
)

#: Tests that expect to be the first to import ``threading`` or ``logging``, which any reporter imports at the start.
EXPECTED = ("test_import_from_another_thread", "test__all__", "test_relativeCreated_has_higher_precision")

#: By version, a test that does not end there without lastword either.
ENDLESS = {(3, 13, 0): "test_print_exception_gh_102056"}

SITECUSTOMIZE = """\
import lastword, lastword.integrations
lastword.init()
lastword.integrations.install()
"""

#: Nobody listens there.
DSN = "booboo+http://token@127.0.0.1:1/org/project"

PATIENCE = 1200.0


def has_tests() -> bool:
    """Whether this interpreter has CPython's tests, which distributions leave out or have in a package of their own."""
    return find_spec("test") is not None and find_spec("test.test_code_module") is not None


def outcomes(
    modules: Sequence[str], directory: Path, *, flusher: Optional[str], only: Iterable[str] = ()
) -> dict[str, str]:
    """How each test of these modules ended: ``passed``, ``skipped``, ``failure`` or ``error``.

    Args:
        directory: an empty one, for all that the tests and lastword write.
        flusher: as for ``lastword.init``; None runs them without lastword.
        only: names of tests; without any, all.
    """
    report, home, spool = directory / "report.xml", directory / "home", directory / "spool"
    home.mkdir(parents=True)
    environment = {**os.environ, "HOME": str(home), "LASTWORD_SPOOL": str(spool)}
    for name in [name for name in environment if name.startswith(("PYTEST", "COV_"))]:
        del environment[name]
    if flusher is not None:
        (directory / "sitecustomize.py").write_text(SITECUSTOMIZE)
        path = f"{directory}{os.pathsep}{Path(lastword.__file__).parents[1]}"
        environment.update(PYTHONPATH=path, LASTWORD_DSN=DSN, LASTWORD_FLUSHER=flusher)
    command = [
        sys.executable,
        "-m",
        "test",
        "--junit-xml",
        str(report),
        "--tempdir",
        str(directory),
        "--timeout",
        "300",
    ]
    for name in only:
        command += ["--match", name]
    if sys.version_info[:3] in ENDLESS:
        command += ["--ignore", ENDLESS[sys.version_info[:3]]]
    try:
        ended = subprocess.run(
            [*command, *modules],
            env=environment,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            text=True,
            errors="replace",
        )
    finally:
        remove_spool(spool)
    if not report.exists():
        raise AssertionError(f"{' '.join(modules)} came to no end:\n{ended.stdout[-4000:]}")
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        found[case.get("name", "")] = next(
            (kind for kind in ("error", "failure", "skipped") if kind in kinds), "passed"
        )
    return found


def differences(without: dict[str, str], with_us: dict[str, str]) -> list[str]:
    """What ended otherwise, but for what has to."""
    return [
        f"{name}: {without.get(name, 'absent')} without lastword, {with_us.get(name, 'absent')} with it"
        for name in sorted(without.keys() | with_us.keys())
        if without.get(name) != with_us.get(name) and name.rpartition(".")[2].split(" ")[0] not in EXPECTED
    ]


def compare(module: str, directory: Path, flusher: str) -> list[str]:
    """How many tests one module has, and the differences. A test that ended otherwise is asked twice more: some are a
    matter of luck.
    """
    without = outcomes([module], directory / "without", flusher=None)
    count = len(without)
    with_us = outcomes([module], directory / "with", flusher=flusher)
    for again in ("again", "once more"):
        odd = differences(without, with_us)
        if not odd:
            break
        names = [line.partition(":")[0].rpartition(".")[2].split(" ")[0] for line in odd]
        without.update(outcomes([module], directory / f"without {again}", flusher=None, only=names))
        with_us.update(outcomes([module], directory / f"with {again}", flusher=flusher, only=names))
    return [f"{count} tests", *differences(without, with_us)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.others.cpython", description=__doc__)
    parser.add_argument("module", nargs="*", help=f"any of CPython's; by default {', '.join(MODULES)}")
    parser.add_argument("--auto", action="store_true", help="with a flusher that is started, and not only a spool")
    arguments = parser.parse_args()
    if not has_tests():
        sys.stderr.write(f"lastword: {sys.executable} has no package `test`\n")
        return 2
    broken = 0
    for module in arguments.module or MODULES:
        if find_spec(f"test.{module}") is None:  # 3.11.7 came without multiprocessing's
            sys.stdout.write(f"{module}: this interpreter has none\n")
            continue
        began = time.monotonic()
        directory = Path(tempfile.mkdtemp(prefix="lastword-cpython-"))
        count, *odd = compare(module, directory, "auto" if arguments.auto else "hold")
        shutil.rmtree(directory, ignore_errors=True)
        broken += len(odd)
        sys.stdout.write(f"{module} ({time.monotonic() - began:.0f} s): {count}, {len(odd)} ended otherwise\n")
        sys.stdout.write("".join(f"    {line}\n" for line in odd))
        sys.stdout.flush()
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
