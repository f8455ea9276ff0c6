"""DSNs, and options from the environment: what cannot be used is refused by a ConfigError that tells no secret."""

from __future__ import annotations

import os
from contextlib import ExitStack

import requests
from hypothesis import strategies as st

from lastword.config import Config
from lastword.dsn import Destination, Dsn
from lastword.errors import ConfigError
from lastword.scrub import Rules
from lastword.spool.places import candidates
from lastword.wire.formats import FORMATS
from tests.fuzz.harness import Failure, Target
from tests.fuzz.mutations import mutated_texts
from tests.fuzz.world import World
from tests.support.events import message_event

TOKEN = "s3cr3t-t0k3n-0123456789"

DSNS = [
    f"backtrace+https://submit.backtrace.io/universe/{TOKEN}/json",
    f"https://submit.backtrace.io/universe/{TOKEN}/json",
    f"backtrace+https://example.com:6098?token={TOKEN}",
    f"backtrace+http://[::1]:6098/path/?x=1&token={TOKEN}",
    f"booboo+https://{TOKEN}@example.com/org/project",
    f"https://{TOKEN}:word@ingest.booboo.dev:443/org/project?x=y#z",
    f"sentry+https://{TOKEN}@example.com/1",
]

#: What each option may be given.
VALUES = {
    "DSN": DSNS,
    "SPOOL": ["/tmp/spool", "spool", "~/spool", "/tmp/x/../y"],
    "PROXY": [f"http://user:{TOKEN}@127.0.0.1:3128", "http://127.0.0.1"],
    "SCRUB_NAMES": ["iban,tax_id", "a b"],
    "KEEP_NAMES": ["author"],
    "IGNORE_ERRORS": ["KeyError,shop.CardRefused"],
    "REPR_OF": ["shop.Order"],
    "IN_APP": ["shop", "a.b,c"],
    "NOT_IN_APP": ["shop"],
    **{name: ["1.2"] for name in ("RELEASE", "ENVIRONMENT", "CA_BUNDLE")},
    **{name: ["10", "1e3"] for name in ("TIMEOUT", "CONNECT_TIMEOUT", "SHUTDOWN_TIMEOUT", "SAMPLE_RATE", "MAX_AGE")},
    **{name: ["100", "1_0"] for name in ("FLOOD_BURST", "CONTEXT_LINES", "MAX_SPOOL", "MAX_SET_ASIDE")},
    **{name: ["on", "off", "TRUE"] for name in ("VERIFY", "DEBUG", "ALL_THREADS", "LOCAL_VARIABLES")},
    **{name: ["ERROR", "off", "30"] for name in ("LOG_EVENTS", "LOG_BREADCRUMBS")},
    "SCRUB": ["all", "off"],
    "FLUSHER": ["auto", "hold"],
}


def dsns(world: World, _: ExitStack) -> Target:
    return Target("dsn", mutated_texts(DSNS), _check_dsn, world.touched)


def environment(world: World, _: ExitStack) -> Target:
    options = {name: mutated_texts(values) for name, values in VALUES.items()}
    return Target("environment", st.fixed_dictionaries({}, optional=options), _check_environment, world.touched)


def _check_dsn(text: str) -> None:
    try:
        dsn = Dsn.parse(text)
    except ConfigError as error:
        check_message(str(error))
        return
    check_message(dsn.place)
    _ = dsn.tracker
    _check_destination(Destination(dsn, 5.0))


def _check_environment(values: dict[str, str]) -> None:
    environ = {f"LASTWORD_{name}": value for name, value in values.items()}
    try:
        config = Config.load({}, environ)
        way = config.destination
    except ConfigError as error:
        check_message(str(error))
        return
    if TOKEN in repr(config):
        raise Failure("the token is shown", repr(config))
    Rules(config)
    candidates(config.spool, environ, os.geteuid())
    if way is not None:
        _check_destination(way)


def _check_destination(way: Destination) -> None:
    if Destination.decode(way.encode()) != way:
        raise Failure("it cannot be read back", repr(way.encode()))
    request = FORMATS[way.dsn.wire].request(message_event("m"), way)
    try:
        prepared = requests.Request("POST", request.url, dict(request.headers)).prepare()
    except ValueError:  # as the sender takes it
        return
    for text in (prepared.url, *prepared.headers.values()):
        if any(character < " " or character == "\x7f" for character in str(text)):
            raise Failure("control characters in a request", repr(text))


def check_message(text: str) -> None:
    if TOKEN in text:
        raise Failure("the token is shown", text[:500])
    if not text.replace("\n", "").isprintable():
        raise Failure("not printable", repr(text)[:500])
