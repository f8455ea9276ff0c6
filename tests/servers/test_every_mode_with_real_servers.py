"""Real servers, each with the flusher run in every way: all that was captured arrives, and nothing is left behind."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from lastword.audit.accounts import read_accounts
from tests.support import needs
from tests.support.programs import wait_until
from tests.support.promise import Section, promise
from tests.support.sites import FAILURES, MODES, see_all_arrive, see_all_settled, sites


def run_in_each_mode(folder: Path, command: Sequence[str]) -> None:
    """A server of two workers that runs ``APPLICATION``, once for each mode, side by side."""
    with sites(folder) as each:
        with ExitStack() as servers:
            for site in each:
                servers.enter_context(site.served_by(*command))
            workers = [{site.fail() for _ in range(FAILURES)} for site in each]
            for site, pids in zip(each, workers):
                if site.mode == "external":
                    assert site.leader() == 0
                    wait_until(lambda site=site: site.get("/flush")["settled"] and site.all_arrived(), "all, by flush")  # type: ignore[misc]
                see_all_arrive(site, pids, fail=site.fail)
            for site in each:
                site.ask_to_stop()
        for site in each:
            see_all_settled(site)


@needs.installed("gunicorn", "gevent")
@pytest.mark.parametrize("worker_class", ["sync", "gthread", "gevent"])
def test_gunicorn(worker_class: str, tmp_path: Path) -> None:
    """Delivered in each mode, by each class of worker; no zombie, no complaint, and an arbiter that ends well."""
    command = [sys.executable, "-m", "gunicorn", "--preload", "--worker-class", worker_class, "--workers", "2"]
    command += ["--bind", "fd://{fd}", "--log-level", "warning", "application:application"]
    run_in_each_mode(tmp_path, command)


@promise(Section.BEFORE_DISK, "By default nothing is left out while there is room")
@needs.installed("gunicorn", "gevent")
def test_two_hundred_failures_of_two_workers_in_an_outage(tmp_path: Path) -> None:
    """All at one line, faster than a second each: by default nothing of them is left out, and all arrive later."""
    command = [sys.executable, "-m", "gunicorn", "--worker-class", "gevent", "--workers", "2"]
    command += ["--bind", "fd://{fd}", "--log-level", "warning", "application:application"]
    with sites(tmp_path, ["process"]) as (site,):
        site.tracker.go_down()
        with site.served_by(*command):
            for _ in range(200):
                site.fail()
            site.tracker.come_up()
            wait_until(site.all_arrived, "all 200", timeout=60)
        see_all_settled(site)


#: The same application without lastword.
WITHOUT_US = """\
import json, os

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"pid": os.getpid()}).encode()]
"""


@promise(
    Section.FLUSHER_MODES,
    "A server with nothing pending ends as fast as without lastword",
    broken_by="an end that waits whatever is held",
)
@needs.installed("gunicorn")
@pytest.mark.parametrize("worker_class", ["sync", "gthread"])
def test_a_server_with_nothing_pending_ends_as_soon_as_without_us(worker_class: str, tmp_path: Path) -> None:
    """Its workers may wait for events for an hour, but none are pending."""
    command = [sys.executable, "-m", "gunicorn", "--worker-class", worker_class, "--workers", "2"]
    command += ["--bind", "fd://{fd}", "--log-level", "warning", "application:application"]
    with sites(tmp_path, ["without", *MODES]) as each, ExitStack() as rest:
        without, *with_us = each
        (without.folder / "application.py").write_text(WITHOUT_US)
        running = []
        for site in each:
            site.environment["LASTWORD_SHUTDOWN_TIMEOUT"] = "3600"
            running.append(rest.enter_context(ExitStack()))
            running[-1].enter_context(site.served_by(*command))
        for _ in range(FAILURES):
            without.get("/")
            for site in with_us:
                site.fail()
        for site in with_us:
            if site.mode == "external":
                site.send_all()
            wait_until(lambda site=site: read_accounts(site.spool).held == 0, "nothing pending")  # type: ignore[misc]
        took, *took_with_us = map(seconds_to_end, running)
        assert max(took_with_us) < took + 5.0  # where workers wait, gunicorn kills them after 30


def seconds_to_end(server: ExitStack) -> float:
    began = time.monotonic()
    server.close()
    return time.monotonic() - began


@needs.installed("pyuwsgi")
def test_uwsgi(tmp_path: Path) -> None:
    """The same with workers that are forked in C, where no hook of Python runs."""
    command = [sys.executable, "-c", "import pyuwsgi; pyuwsgi.run()", "--http-socket", "fd://{fd}", "--master"]
    command += ["--processes", "2", "--die-on-term", "--need-app", "--disable-logging", "--wsgi-file", "application.py"]
    run_in_each_mode(tmp_path, command)


@needs.installed("celery")
def test_celery(tmp_path: Path) -> None:
    """A pool of forked processes: delivered in each mode, and no zombie."""
    with sites(tmp_path) as each:
        with ExitStack() as servers:
            for site in each:
                servers.enter_context(site.worked_by_celery())
            tasks = [site.send_tasks(FAILURES) for site in each]
            for site, markers in zip(each, tasks):
                pool = site.await_tasks(markers)
                if site.mode == "external":
                    assert site.leader() == 0
                    site.send_all()
                see_all_arrive(site, pool, fail=lambda site=site: site.await_tasks(site.send_tasks(1)))  # type: ignore[misc]
        for site in each:
            see_all_settled(site)
