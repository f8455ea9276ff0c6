"""The programs that booboo's own page shows its users, written anew: each does what the page says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lastword.event import TRIMMED_TAG
from tests.compat.contest import DROP_IN, Outcome, run_both, run_with, stacks_of
from tests.support import needs
from tests.support.programs import PROGRAMS
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.BOOBOO, "The programs of booboo's page work as described", broken_by="no limit for a rendered body"
)


def run(body: str, tmp_path: Path, arriving: int) -> Outcome:
    return run_with(DROP_IN, body, tmp_path / "ours", wait_for=arriving)


def test_init_and_an_unhandled_exception(tmp_path: Path) -> None:
    """A handshake, the event, the traceback as ever, exit status 1."""
    outcome = run("booboo.init(dsn())\nraise ValueError('no such order')\n", tmp_path, 1)
    assert (outcome.messages, outcome.status) == (["no such order"], 1)
    assert [json.loads(body)["handshake"] for body in outcome.handshakes] == [True]
    assert outcome.trouble.startswith("Traceback (most recent call last):\n")
    assert outcome.trouble.endswith("ValueError: no such order\n")


@needs.installed("flask")
def test_the_full_example(tmp_path: Path) -> None:
    """A Flask application, an environment, errors to ignore, a hook, a user who is in every later event."""
    body = """
import flask
app = flask.Flask("shop")
class Mine(OSError): pass
@app.route("/fail")
def fail(): raise ValueError("in a view")
booboo.init(dsn(), app=app, environment="production", ignore_errors=[KeyboardInterrupt, OSError],
            before_send=lambda event: event)
booboo.set_user({"id": "42", "email": "ada@example.org", "username": "ada"})
try:
    raise Mine
except OSError:
    booboo.capture_exception()
app.test_client().get("/fail")
booboo.capture_message("later")
"""
    outcome = run(body, tmp_path, 2)
    assert outcome.messages == ["in a view", "later"]
    for event in outcome.events:
        assert event["environment"] == "production"
        assert event["context"]["user"].items() >= {"id": "42", "email": "ada@example.org", "username": "ada"}.items()


def test_a_hook_that_drops_health_checks(tmp_path: Path) -> None:
    """By what the message says, of messages and exceptions alike."""
    body = """
booboo.init(dsn(), before_send=lambda event: None if "/healthz" in event.get("message", "") else event)
for text in ("GET /healthz", "GET /cart"):
    booboo.capture_message(text)
    booboo.capture_exception(ValueError("failed: " + text))
"""
    assert run(body, tmp_path, 2).messages == ["GET /cart", "failed: GET /cart"]


@needs.installed("booboo")
def test_a_hook_that_takes_out_ibans(tmp_path: Path) -> None:
    """Nothing that matches arrives, or touches the disk; the rest is what it was in the original."""
    theirs, ours = run_both((PROGRAMS / "takes_out_ibans.py").read_text("utf-8"), tmp_path)
    assert json.dumps(ours.in_order()) == json.dumps(theirs.in_order())
    assert len(ours.events) == 2
    assert b"DE8937" not in b"".join(ours.raw)
    on_disk = b"".join(path.read_bytes() for path in (tmp_path / "ours/spool").rglob("*") if path.is_file())
    assert b"DE8937" not in on_disk
    assert str(ours.events).count("[iban]") >= 8


def test_the_event_has_the_documented_shape(tmp_path: Path) -> None:
    """Every key of the annotated example with its type; a user only where one was set, a request only in one."""
    body = """
booboo.init(dsn(), environment="production")
def fail(amount=3):
    raise ValueError("why")
try:
    fail()
except ValueError:
    booboo.capture_exception()
"""
    [event] = run(body, tmp_path, 1).events
    assert {key: type(value) for key, value in event.items()} == {
        **dict.fromkeys(("message", "exception_type", "level", "environment", "release"), str),
        **dict.fromkeys(("stacktrace", "exceptions"), list),
        **dict.fromkeys(("context", "tags"), dict),
    }
    assert event["tags"] == {"runtime": "python"}
    assert event["context"].keys() == {"sdk", "runtime"}
    [one] = event["exceptions"]
    assert one.keys() == {"type", "value", "stacktrace", "chain_type"}
    assert one["chain_type"] is None
    for stack in stacks_of(event):
        assert {key: type(value) for key, value in stack[-1].items()} == {
            **dict.fromkeys(("filename", "function", "context_line"), str),
            **dict.fromkeys(("pre_context", "post_context"), list),
            "lineno": int,
            "vars": dict,
            "in_app": bool,
        }
        assert stack[-1]["vars"] == {"amount": "3"}


def test_a_script_that_catches_its_own_error(tmp_path: Path) -> None:
    """Reported, and the answer is the program's own."""
    body = """
booboo.init(dsn())
def application(environ, start_response):
    try:
        raise ValueError("in WSGI")
    except ValueError:
        booboo.capture_exception()
        start_response("500 Internal Server Error", [])
        return [b"sorry"]
print(application({}, lambda status, headers: print(status)))
"""
    outcome = run(body, tmp_path, 1)
    assert (outcome.messages, outcome.output) == (["in WSGI"], "500 Internal Server Error\n[b'sorry']\n")


def test_a_hook_that_raises_costs_the_event(tmp_path: Path) -> None:
    """Never is it sent unmodified; that it was dropped is said, once a minute."""
    body = """
def hook(event):
    if event["message"] != "good":
        raise KeyError("a defect")
    return event
booboo.init(dsn(), before_send=hook)
for text in ("bad", "bad", "good", "bad"):
    booboo.capture_message(text)
"""
    outcome = run(body, tmp_path, 1)
    assert outcome.messages == ["good"]
    assert outcome.trouble.count("booboo: event dropped, before_send") == 1


@pytest.mark.parametrize("word", ["password", "secret", "token", "api_key", "auth", "credential", "private"])
def test_names_that_are_filtered(tmp_path: Path, word: str) -> None:
    """Any local variable whose name contains such a word, in any case; dunder names do not arrive."""
    body = f"""
booboo.init(dsn())
def fail(my_{word}="hunter2", {word.upper()}S="hunter2", __dunder__="hunter2", harmless=1):
    raise ValueError("why")
try:
    fail()
except ValueError:
    booboo.capture_exception()
"""
    [event] = run(body, tmp_path, 1).events
    for stack in stacks_of(event):
        expected = {f"my_{word}": "[filtered]", f"{word.upper()}S": "[filtered]", "harmless": "1"}
        assert stack[-1]["vars"] == expected


SIZES = """
def grow(event):
    event["message"] += "x" * (SIZE - len(json.dumps(event)))
    return event
booboo.init(dsn(), before_send=grow)
booboo.capture_message("grown")
"""


@needs.installed("booboo")
@pytest.mark.parametrize(("size", "theirs_arrive"), [(102_400, 1), (102_401, 0)])
def test_an_event_that_is_too_large_is_trimmed(tmp_path: Path, size: int, theirs_arrive: int) -> None:
    """102,400 bytes pass as they are, byte for byte as long; of one byte more the original sends nothing, and we what
    fits.
    """
    theirs, ours = run_both(SIZES.replace("SIZE", str(size)), tmp_path, wait_for=1)
    assert len(theirs.raw) == theirs_arrive
    assert len(ours.raw[0]) == size if theirs_arrive else len(ours.raw[0]) <= 102_400
    assert (TRIMMED_TAG in ours.events[0]["tags"]) is not bool(theirs_arrive)
