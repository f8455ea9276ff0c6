"""The promise: what a booboo project receives from the drop-in is what it received from booboo-sdk, key by key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lastword.compat.booboo as drop_in
from tests.compat.contest import Outcome, about, run_both
from tests.support import needs, programs
from tests.support.promise import Section, promise

pytestmark = [
    needs.installed("booboo"),
    promise(
        Section.BOOBOO,
        "A project receives the same events as from the original, key by key",
        broken_by="variables shown by class and address",
    ),
]

#: The situations of the gallery, in order.
NAMES = [
    *(
        "handled",
        "chained",
        "in_context",
        "suppressed",
        "of_three",
        "sixty_locals",
        "reprs",
        "secrets",
        "custom",
        "deep",
    ),
    *("in_library", "no_text", "several_lines", "syntax_error", "in_a_thread", "without_source", "given", "message"),
    *("warning", "error", "level_of_their_own", "fatal", "message_with_user", "exception_with_user", "without_user"),
    "unhandled",
]


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Outcome]:
    """One program with all situations, run once with each package."""
    return run_both((programs.PROGRAMS / "gallery.py").read_text("utf-8"), tmp_path_factory.mktemp("gallery"))


@pytest.mark.parametrize("name", NAMES)
def test_an_event_equals_the_originals(gallery: tuple[Outcome, Outcome], name: str) -> None:
    """Keys, their order, and every value."""
    original = gallery[0].events[NAMES.index(name)]
    theirs, ours = ([event for event in outcome.events if about(event) == about(original)] for outcome in gallery)
    assert len(theirs) == 1
    assert json.dumps(ours, indent=1) == json.dumps(theirs, indent=1)


def test_the_program_behaves_alike(gallery: tuple[Outcome, Outcome]) -> None:
    """As many events, the same traceback on stderr, the same exit status, one handshake, the same two headers."""
    theirs, ours = gallery
    assert len(ours.events) == len(theirs.events) == len(NAMES)
    assert ours.trouble == theirs.trouble
    assert (ours.status, ours.output) == (theirs.status, theirs.output) == (1, "")
    assert ours.handshakes == theirs.handshakes
    assert json.loads(ours.handshakes[0]) == {"handshake": True, "sdk": "python/0.16.0"}
    by_library = {"host", "user-agent", "accept-encoding", "accept", "connection", "content-length"}
    for outcome in gallery:
        [names] = {frozenset(headers.keys() - by_library) for headers in outcome.headers}
        assert names == {"x-booboo-dsn", "content-type"}
        assert {headers["content-type"] for headers in outcome.headers} == {"application/json"}


HOOKS = """
def change(event):
    event["message"] = event["message"].upper()
    event["extra_key"] = {"n": [1, 2.5, None], "text": "é"}
    del event["tags"]
    if event["message"] == "DROP":
        return None
    if event["message"] == "REPLACE":
        return {"message": "another", "odd": (1, 2), 3: 4}
    return event

booboo.init(dsn(), before_send=change, environment="e", release="r")
booboo.set_user({"id": "42"})
for message in ("keep", "drop", "replace"):
    booboo.capture_message(message)
def fail(password="x", left=1):
    raise ValueError("keep this, too")
try:
    fail()
except ValueError:
    booboo.capture_exception()
"""

IGNORED = """
class Mine(OSError): pass
booboo.init(dsn(), ignore_errors=[KeyboardInterrupt, OSError], release="r")
for error in (OSError("os"), Mine("mine"), FileNotFoundError("no file"), ValueError("reported")):
    try:
        raise error
    except Exception as caught:
        booboo.capture_exception(caught)
booboo.capture_message("OSError is no matter for messages")
raise Mine("nobody catches this")
"""

INTERRUPTED = """
booboo.init(dsn())
raise KeyboardInterrupt("enough")
"""

EXITED = """
booboo.init(dsn())
booboo.capture_message("then exit")
sys.exit(3)
"""

CHAIN_OF_HOOKS = """
def mine(kind, error, traceback):
    print("mine", kind.__name__)
sys.excepthook = mine
booboo.init(dsn())
raise ValueError("seen by both")
"""

NO_HANDSHAKE = """
os.environ["BOOBOO_HANDSHAKE"] = "0"
os.environ["BOOBOO_RELEASE"] = "from the environment"
booboo.init(dsn())
booboo.capture_message("quiet")
"""

HELD_CLIENT = """
client = booboo.BoobooClient(dsn(), environment="e", release="r", ignore_errors=[KeyError])
print(client.dsn == "loopback-token", client.endpoint.startswith("http://127.0.0.1:"), client.endpoint[-1])
print(client.environment, client.release, client.ignore_errors, client.before_send, client.debug)
client.install()
client.set_user({"id": 1})
client.capture_message("held", "warning")
try:
    raise KeyError
except KeyError:
    client.capture_exception()
booboo.capture_message("no client by name")
print(booboo._client)
booboo.init(dsn(), release="second")
print(type(booboo._client) is booboo.BoobooClient)
booboo._client = None
booboo.capture_message("after a reset")
"""

BEFORE_INIT = """
print(booboo.capture_exception(), booboo.capture_message("x"), booboo.set_user({}), booboo._client, booboo.__version__)
"""

PROGRAMS = {
    "hooks": HOOKS,
    "ignored": IGNORED,
    "interrupted": INTERRUPTED,
    "exited": EXITED,
    "chain of hooks": CHAIN_OF_HOOKS,
    "no handshake": NO_HANDSHAKE,
    "held client": HELD_CLIENT,
    "before init": BEFORE_INIT,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_and_its_events_equal_the_originals(tmp_path: Path, name: str) -> None:
    """Everything that arrives, everything that the program prints, its exit status."""
    theirs, ours = run_both(PROGRAMS[name], tmp_path)
    assert json.dumps(ours.in_order(), indent=1) == json.dumps(theirs.in_order(), indent=1)
    assert (ours.status, ours.output, ours.trouble) == (theirs.status, theirs.output, theirs.trouble)
    if name != "held client":  # which says hello again to whom it has just said it (O-5)
        assert ours.handshakes == theirs.handshakes


@pytest.mark.parametrize(
    "dsn",
    [
        "https://TOKEN@ingest.example.org/org/project",
        "http://TOKEN@127.0.0.1:8000/o/p?x=1",
        "https://TOKEN:password@EXAMPLE.org/o/p",
        "TOKEN",
        "https://example.org/o/p",
        "HTTPS://TOKEN@example.org/",
        "",
        None,
    ],
)
@pytest.mark.parametrize("endpoint", [None, "https://elsewhere.example.org/in/here"])
def test_a_dsn_is_read_as_the_original_reads_it(dsn: str | None, endpoint: str | None) -> None:
    """Token and endpoint, as both clients show them."""
    import booboo as original

    theirs = original.BoobooClient(dsn, endpoint=endpoint)
    ours = drop_in.BoobooClient(dsn, endpoint=endpoint)
    assert (ours.dsn, ours.endpoint) == (theirs.dsn, theirs.endpoint)
