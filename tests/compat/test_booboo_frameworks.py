"""Web frameworks with booboo: what the original reports of them, the drop-in does, and no more."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.compat.contest import DROP_IN, ORIGINAL, Outcome, run_both, run_with
from tests.support import needs
from tests.support.programs import PROGRAMS
from tests.support.promise import Section, promise

pytestmark = [
    needs.installed("booboo", "flask", "fastapi", "django", "channels"),
    promise(
        Section.BOOBOO,
        "Frameworks report the same failures, each once, and forget the user with the request",
        broken_by="no scope around a request; its user kept by context alone; Http404 reported",
    ),
]

FLASK = (PROGRAMS / "flask_shop.py").read_text("utf-8")
FASTAPI = (PROGRAMS / "fastapi_shop.py").read_text("utf-8")
LATER_FLASK = FLASK.replace('booboo.init(os.environ["TRACKER"], app=app)\n', "").replace(
    "import flask\n", 'booboo.init(os.environ["TRACKER"])\nimport flask\n'
)

SETTINGS = """
import os
import booboo
SECRET_KEY, ROOT_URLCONF, ALLOWED_HOSTS, DEBUG = "x", "urls", ["testserver"], False
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
if os.environ.get("IN_SETTINGS"):
    booboo.init(os.environ["TRACKER"])
"""

URLS = """
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpResponse
from django.urls import path
def fail(request): raise ValueError("django")
async def fail_async(request): raise KeyError("async")
def denied(request): raise PermissionDenied("denied")
def suspicious(request): raise SuspiciousOperation("suspicious")
def missing(request): raise Http404("missing")
def fine(request): return HttpResponse("fine")
urlpatterns = [path(view.__name__, view) for view in (fail, fail_async, denied, suspicious, missing, fine)]
"""

DJANGO = """
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
if os.environ.get("IN_SETTINGS"):
    import django
    django.setup()
else:
    import django
    django.setup()
    booboo.init(dsn())
import asyncio
from django.test import AsyncClient, Client
headers = {"Authorization": "hunter2", "Accept": "text/x"}
client = Client(raise_request_exception=False)
for name in ("fail?a=1", "fail_async", "denied", "suspicious", "missing", "nowhere", "fine"):
    print(name, client.get("/" + name, headers=headers).status_code)
print(client.get("/fine", headers={"host": "another"}).status_code)
print(client.post("/fail?posted", {"a": 1}, content_type="application/json", headers=headers).status_code)
print(asyncio.run(AsyncClient(raise_request_exception=False).get("/fail_async?by=asgi", headers=headers)).status_code)
"""

CHANNELS = """
import asyncio
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
import django
django.setup()
from channels.routing import ProtocolTypeRouter
async def consumer(scope, receive, send):
    raise ValueError("in a consumer")
booboo.init(dsn())
scope = {"type": "websocket", "path": "/ws", "query_string": b"", "headers": [(b"host", b"shop")], "scheme": "ws",
         "server": ("127.0.0.1", 80), "client": ("1.2.3.4", 5)}
try:
    asyncio.run(ProtocolTypeRouter({"websocket": consumer})(scope, None, None))
except ValueError as error:
    print("raised", error)
"""

DJANGO_FILES = {"settings.py": SETTINGS, "urls.py": URLS}


def essence(outcome: Outcome) -> list[str]:
    """Everything but the stacks' outer frames, which are the framework's: each package hears somewhere else in it."""
    events = []
    for event in outcome.in_order():
        innermost: dict[str, Any] = event["stacktrace"][-1]
        shown = {key: value for key, value in event.items() if key not in ("stacktrace", "exceptions")}
        chain = [{**one, "stacktrace": one["stacktrace"][-1:]} for one in event["exceptions"]]
        events.append(json.dumps({**shown, "raised in": innermost, "chain": chain}, indent=1))
    return sorted(events)


def test_flask(tmp_path: Path) -> None:
    """Unhandled errors and 5xx, with the request; no 4xx and no handled errors. Testing mode still raises."""
    theirs, ours = run_both(FLASK, tmp_path)
    assert ours.output == theirs.output
    for event in ours.events:
        if event["exception_type"] == "ServiceUnavailable":
            assert event.pop("request")["url"] == "http://localhost/unavailable"
            assert event["context"].pop("user") == {"ip_address": "127.0.0.1"}
    assert essence(ours) == essence(theirs)
    assert len(ours.events) == 3


def test_flask_that_is_imported_after_init(tmp_path: Path) -> None:
    """No application is given, and none is needed."""
    theirs, ours = run_both(LATER_FLASK, tmp_path)
    assert ours.output == theirs.output
    assert ours.messages == theirs.messages
    assert len(ours.events) == 3


def test_fastapi(tmp_path: Path) -> None:
    """Exceptions that leave the application, of routes and websockets; no HTTPException, nothing that was handled."""
    theirs, ours = run_both(FASTAPI, tmp_path)
    assert ours.output == theirs.output
    assert essence(ours) == essence(theirs)
    assert len(ours.events) == 3


@promise(Section.BEFORE_DISK, "An unreadable part of a request costs only itself; the headers of its body are reported")
@pytest.mark.parametrize("in_settings", ["", "1"])
def test_django(tmp_path: Path, in_settings: str) -> None:
    """`init` in settings.py or later: everything but 404, sync and async, once each, with the request."""
    theirs, ours = run_both(DJANGO, tmp_path, files=DJANGO_FILES, environment={"IN_SETTINGS": in_settings})
    assert ours.output == theirs.output
    assert essence(ours) == essence(theirs)
    assert len(ours.events) == 7


def test_a_middleware_that_the_settings_name(tmp_path: Path) -> None:
    """By its dotted path, first as the original does it: each error is reported once."""
    outcomes = []
    for package, home in ((ORIGINAL, "booboo"), (DROP_IN, "lastword.compat.booboo")):
        named = f'MIDDLEWARE = ["{home}._middleware.BoobooDjangoMiddleware", '
        files = {**DJANGO_FILES, "settings.py": SETTINGS.replace("MIDDLEWARE = [", named)}
        outcomes.append(run_with(package, DJANGO, tmp_path / home, files=files, wait_for=7))
    theirs, ours = outcomes
    assert ours.output == theirs.output
    assert essence(ours) == essence(theirs)
    assert len(ours.events) == 7


def test_channels(tmp_path: Path) -> None:
    """Exceptions that leave a consumer behind the router."""
    theirs, ours = run_both(CHANNELS, tmp_path, files=DJANGO_FILES)
    assert ours.output == theirs.output
    assert essence(ours) == essence(theirs)
    assert len(ours.events) == 1


@pytest.mark.parametrize("program", [FASTAPI, DJANGO], ids=["fastapi", "django"])
def test_a_reset_ends_reporting(tmp_path: Path, program: str) -> None:
    """`booboo._client = None`, as tests of programs do it: nothing is reported afterwards."""
    body = re.sub(r"(booboo\.init\(.*\))", r"\1; booboo.capture_message('before'); booboo._client = None", program)
    theirs, ours = run_both(body, tmp_path, files=DJANGO_FILES)
    assert ours.output == theirs.output
    assert ours.messages == theirs.messages
    assert set(ours.messages) == {"before"}


@pytest.mark.parametrize(
    ("program", "count"), [(FASTAPI, 3), (FLASK, 3), (DJANGO, 7)], ids=["fastapi", "flask", "django"]
)
def test_init_twice_reports_once(tmp_path: Path, program: str, count: int) -> None:
    """O-5: of FastAPI and Django the original then tells twice."""
    call = re.search(r"booboo\.init\(.*\)", program)
    assert call is not None
    body = program.replace(call[0], f"{call[0]}; {call[0]}")
    theirs, ours = run_both(body, tmp_path, files=DJANGO_FILES, wait_for=count)
    assert ours.output == theirs.output
    assert (len(ours.events), len(ours.handshakes)) == (count, 1)
    assert (len(theirs.events) > count) is (program is not FLASK)


def test_a_user_is_forgotten_with_the_request(tmp_path: Path) -> None:
    """The user of one request is neither in the next one's events nor in the process's."""
    body = """
import flask
app = flask.Flask("shop")
@app.route("/<user>")
def view(user):
    if user != "nobody":
        booboo.set_user({"id": user})
    raise ValueError(user)
booboo.init(dsn())
for user in ("Ada", "Bob", "nobody"):
    app.test_client().get("/" + user)
"""
    ours = run_with(DROP_IN, body, tmp_path / "ours", wait_for=3)
    users = {event["message"]: event["context"]["user"].get("id") for event in ours.events}
    assert users == {"Ada": "Ada", "Bob": "Bob", "nobody": None}


def test_a_user_that_was_set_in_a_thread_pool(tmp_path: Path) -> None:
    """FastAPI runs plain functions in threads with copies of the context; the report knows the user all the same."""
    body = """
import asyncio
from fastapi import Depends, FastAPI
app = FastAPI()
def who(user: str):
    booboo.set_user({"id": user})
@app.get("/{user}")
def route(user: str, _=Depends(who)):
    raise ValueError(user)
booboo.init(dsn())
booboo.set_user({"id": "process"})
async def call(path):
    async def receive(): return {"type": "http.request", "body": b""}
    async def send(message): pass
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"",
             "headers": [], "scheme": "http", "server": None, "client": None, "http_version": "1.1", "root_path": "",
             "asgi": {"version": "3.0"}}
    try:
        await app(scope, receive, send)
    except ValueError:
        pass
async def main():
    await asyncio.gather(call("/Ada"), call("/Bob"))
asyncio.run(main())
booboo.capture_message("later")
"""
    ours = run_with(DROP_IN, body, tmp_path / "ours", wait_for=3)
    users = {event["message"]: event["context"]["user"]["id"] for event in ours.events}
    assert users == {"Ada": "Ada", "Bob": "Bob", "later": "process"}
    assert [event["request"]["url"] for event in ours.in_order() if "request" in event] == ["/Ada", "/Bob"]


def test_forwarded_for_header_is_not_taken_for_the_users_address(tmp_path: Path) -> None:
    """O-7: X-Forwarded-For is filtered from the headers and does not come back as the user's address."""
    body = DJANGO.replace('"text/x"}', '"text/x", "X-Forwarded-For": "9.9.9.9"}')
    theirs, ours = run_both(body, tmp_path, files=DJANGO_FILES)
    assert "9.9.9.9" in str(theirs.events)
    assert "9.9.9.9" not in str(ours.events)
    assert {event["context"]["user"]["ip_address"] for event in ours.events} == {"127.0.0.1"}
