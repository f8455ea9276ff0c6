"""What holds for every test: a home of its own, no process left behind, and no silent skip on CI."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import lastword
from lastword.scope.breadcrumbs import NO_TRAIL, trail
from lastword.spool.layout import Layout
from tests.support.leftovers import Leftovers

REQUIRE_ALL = os.environ.get("LASTWORD_REQUIRE_ALL", "") not in ("", "0")

# A slow or busy machine fails no test of Hypothesis for taking long. Each run draws other examples, so few are enough.
settings.register_profile("any machine", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in what a shell runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: Seconds in which processes that a test is done with have to be gone: a flusher leaves a second after its last writer,
#: and notices the end of one that was idle up to ten seconds later.
GRACE = 30.0


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the user's is read or written: own HOME and temporary directory, no variable that steers us."""
    for variable in list(os.environ):
        if variable.startswith("LASTWORD_") or variable == "STATE_DIRECTORY" or variable.lower().endswith("_proxy"):
            monkeypatch.delenv(variable)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / ".local" / "state"))
    # Not below tmp_path, whose name is long: multiprocessing puts Unix sockets there, and their paths end at 107 bytes.
    temporary = str(tmp_path_factory.mktemp("t"))
    monkeypatch.setenv("TMPDIR", temporary)
    monkeypatch.setattr(tempfile, "tempdir", temporary)


@pytest.fixture(autouse=True)
def _own_context() -> Iterator[None]:
    """What one test says of its work is not told of another's, nor what it logs."""
    with lastword.new_scope():
        trail.set(NO_TRAIL)
        yield


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An empty spool."""
    layout = Layout(str(tmp_path / "spool"))
    layout.prepare()
    return layout


@pytest.fixture(autouse=True, scope="session")
def _no_process_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """After the last test (of this xdist worker) every process that the tests started is gone, or the run fails."""
    leftovers = Leftovers(tmp_path_factory.getbasetemp())
    yield
    remaining = leftovers.wait(GRACE)
    if remaining:
        leftovers.kill()
        pytest.fail(f"left running {GRACE:.0f} s after the last test (now killed):\n" + "\n".join(remaining))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """With ``-n auto`` twice as many workers as there are processors, and one: most tests wait for other processes most
    of the time.
    """
    return 2 * (os.cpu_count() or 1) + 1


def pytest_runtest_setup(item: pytest.Item) -> None:
    for what in _missing_capabilities(item):
        pytest.skip(f"there is no {what} here")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and not _missing_capabilities(item):
        _fail_where_all_is_required(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped:
        _fail_where_all_is_required(report)
    return report


def _missing_capabilities(item: pytest.Item) -> list[str]:
    return [what for has_it, what in (mark.args for mark in item.iter_markers("capability")) if not has_it]


def _fail_where_all_is_required(report: pytest.TestReport | pytest.CollectReport) -> None:
    if REQUIRE_ALL:
        report.outcome = "failed"
        report.longrepr = f"skipped, which LASTWORD_REQUIRE_ALL forbids: {report.longrepr}"
