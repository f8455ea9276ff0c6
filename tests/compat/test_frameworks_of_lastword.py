"""The integrations serve plain lastword as well: ``lastword.integrations.install()``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lastword.testing import LoopbackTracker
from tests.support import needs

PROGRAM = """
import os
import flask
import lastword
from lastword import integrations
lastword.init(os.environ["TRACKER"])
integrations.install()
integrations.install()
app = flask.Flask("shop")
@app.route("/fail")
def fail():
    lastword.set_tag("queue", "mail")
    raise ValueError("in a view")
client = app.test_client()
client.get("/fail?token=hunter2&page=2", headers={"Authorization": "hunter2", "X-Api-Key": "hunter2"})
lastword.capture_message("afterwards")
"""


@needs.installed("flask")
def test_event_has_the_request_without_its_secrets(tmp_path: Path) -> None:
    """Method, URL and context of the request, no secrets, no addresses; then the request is forgotten."""
    with LoopbackTracker() as tracker:
        environment = {**os.environ, "TRACKER": tracker.dsn, "LASTWORD_SPOOL": str(tmp_path / "spool")}
        subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True, capture_output=True, timeout=60)
        events = {event.message: event for event in tracker.wait_for(2, timeout=30)}
    assert len(tracker.events) == 2
    failure, later = events["in a view"].body or {}, events["afterwards"].body or {}
    assert (failure["request"]["method"], failure["level"]) == ("GET", "error")
    assert failure["request"]["url"].startswith("http://localhost/fail?")
    assert "page=2" in failure["request"]["query_string"]
    assert failure["tags"]["queue"] == "mail"
    assert "hunter2" not in str(failure["request"])
    assert "user" not in failure["context"]
    assert "queue" not in later["tags"]
