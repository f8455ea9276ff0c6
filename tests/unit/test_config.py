"""Settings: every form of a DSN, what is wrong with the others, and which of three sources an option comes from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lastword.config import ACCEPTED_DSNS, Config, Destination, Dsn
from lastword.errors import ConfigError

SUBMIT = "https://submit.backtrace.io/universe/TOKEN/json"
BOOBOO = "booboo+https://TOKEN@ingest.booboo.dev/organisation/project"


@pytest.mark.parametrize(
    ("dsn", "url"),
    [
        (f"backtrace+{SUBMIT}", SUBMIT),
        (SUBMIT, SUBMIT),
        (f"  {SUBMIT}\n", SUBMIT),
        (f"{SUBMIT}?_mod_sync=1", f"{SUBMIT}?_mod_sync=1"),
        ("backtrace+https://example.sp.backtrace.io:6098?token=T", "https://example.sp.backtrace.io:6098/post?T"),
        ("https://example.sp.backtrace.io:6098?token=T", "https://example.sp.backtrace.io:6098/post?T"),
        ("backtrace+https://tracker.example:6098/?token=T", "https://tracker.example:6098/post?T"),
        ("backtrace+https://tracker.example/coroner/?token=T", "https://tracker.example/coroner/post?T"),
        ("backtrace+http://127.0.0.1:80?token=T&format=other&x=y", "http://127.0.0.1:80/post?T"),
        ("backtrace+http://[::1]:6098?token=T", "http://[::1]:6098/post?T"),
        ("BACKTRACE+HTTPS://tracker.example?token=T", "https://tracker.example/post?T"),
    ],
)
def test_a_backtrace_dsn_becomes_the_submission_url(dsn: str, url: str) -> None:
    """The hosted address is used as it is; any other gets ``/post`` with token and format, in that order."""
    url = url.replace("?T", "?token=T&format=json")
    assert Dsn.parse(dsn) == Dsn(wire="backtrace", url=url, token="")


@pytest.mark.parametrize(
    ("written", "sent"), [("tok+en", "tok+en"), ("tok%20en", "tok+en"), ("t%26x%3D1", "t%26x%3D1")]
)
def test_a_backtrace_token_is_form_encoded(written: str, sent: str) -> None:
    """A token cannot smuggle a parameter into the URL."""
    assert f"/post?token={sent}&format=json" in Dsn.parse(f"backtrace+https://h.example?token={written}").url


@pytest.mark.parametrize(
    ("dsn", "url", "token"),
    [
        (BOOBOO, "https://ingest.booboo.dev/", "TOKEN"),
        ("https://TOKEN@ingest.booboo.dev/organisation/project", "https://ingest.booboo.dev/", "TOKEN"),
        ("https://TOKEN@booboo.dev", "https://booboo.dev/", "TOKEN"),
        ("booboo+http://TOKEN:ignored@127.0.0.1:8000/a/b?c=d#e", "http://127.0.0.1:8000/", "TOKEN"),
        ("booboo+http://TOKEN@[::1]:8000/a/b", "http://[::1]:8000/", "TOKEN"),
        ("booboo+https://T%40x@h.example/a/b", "https://h.example/", "T@x"),
    ],
)
def test_a_booboo_dsn_becomes_origin_and_token(dsn: str, url: str, token: str) -> None:
    """Path and query name the project for people; only origin and user name count, the latter percent-decoded."""
    assert Dsn.parse(dsn) == Dsn(wire="booboo", url=url, token=token)


@pytest.mark.parametrize(
    ("dsn", "problem"),
    [
        ("", "scheme"),
        ("TOKEN", "scheme"),
        ("ingest.booboo.dev", "scheme"),
        ("ftp://TOKEN@ingest.booboo.dev/a/b", "scheme is 'ftp'"),
        ("booboo+ftp://TOKEN@h.example/a/b", "scheme is 'ftp'"),
        ("booboo:https://TOKEN@h.example", "scheme"),
        ("https://TOKEN@tracker.example/a/b", "needs the prefix"),
        ("https://TOKEN@notbooboo.dev/a/b", "needs the prefix"),
        ("https://TOKEN@booboo.dev.example/a/b", "needs the prefix"),
        ("airbrake+https://TOKEN@h.example/a/b", "'airbrake' is no known format"),
        ("+https://TOKEN@h.example/a/b", "no known format"),
        ("booboo+https://h.example/a/b", "no token"),
        ("booboo+https://:password@h.example/a/b", "no token"),
        ("booboo+https://TOKEN@/a/b", "names no host"),
        ("booboo+https://TOKEN@:8000/a/b", "names no host"),
        ("booboo+https://TOKEN@h.example:port/a/b", "port"),
        ("booboo+https://TOKEN@h.example:99999/a/b", "[Pp]ort"),
        ("booboo+https://TOKEN@[::1/a/b", "IPv6"),
        ("backtrace+https://h.example:6098", "no token"),
        ("backtrace+https://h.example:6098?token=", "no token"),
        ("backtrace+https://submit.backtrace.io/universe", "UNIVERSE/TOKEN"),
        ("backtrace+https://submit.backtrace.io/", "UNIVERSE/TOKEN"),
        ("sentry+https://KEY@h.example/1", "not there yet"),
        ("https://KEY@o1.ingest.sentry.io/1", "not there yet"),
    ],
)
def test_a_dsn_that_cannot_be_used_is_an_error_that_helps(dsn: str, problem: str) -> None:
    """It names the DSN, what is wrong with it, and every accepted form."""
    with pytest.raises(ConfigError, match=problem) as raised:
        Dsn.parse(dsn)
    assert repr(dsn) in str(raised.value)
    assert all(form in str(raised.value) for form in ACCEPTED_DSNS)


def test_a_destination_survives_its_file() -> None:
    """What is written to the spool is read back as the same destination with the same key."""
    destination = Destination(Dsn.parse(BOOBOO), timeout=2.5)
    again = Destination.decode(destination.encode())
    assert (again, again.key) == (destination, destination.key)
    assert len(destination.key) == 12
    assert destination.key != Destination(Dsn.parse(BOOBOO), timeout=3.0).key


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b'{"dsn": {}, "timeout": 1}',
        b'{"dsn": {"wire": "booboo", "url": "u", "token": "t", "more": 1}, "timeout": 1}',
        b'{"dsn": {"wire": "booboo", "url": "u", "token": "t"}, "timeout": "soon"}',
    ],
)
def test_a_damaged_destination_file_is_a_config_error(content: bytes) -> None:
    """Whatever stands in the file, the reader gets one kind of error."""
    with pytest.raises(ConfigError, match="not a destination"):
        Destination.decode(content)


@pytest.mark.parametrize(
    ("options", "environ", "environment"),
    [
        ({}, {}, "production"),
        ({}, {"LASTWORD_ENVIRONMENT": "staging"}, "staging"),
        ({}, {"LASTWORD_ENVIRONMENT": ""}, "production"),
        ({"environment": "test"}, {"LASTWORD_ENVIRONMENT": "staging"}, "test"),
        ({"environment": None}, {"LASTWORD_ENVIRONMENT": "staging"}, "staging"),
        ({"environment": ""}, {"LASTWORD_ENVIRONMENT": "staging"}, ""),
    ],
)
def test_an_option_comes_from_the_caller_then_the_environment_then_the_default(
    options: dict[str, Any], environ: dict[str, str], environment: str
) -> None:
    """None and an empty variable count as not given."""
    assert Config.load(options, environ).environment == environment


def test_every_option_has_its_variable() -> None:
    """LASTWORD_<OPTION> for each, read as the option's own type."""
    environ = {
        "LASTWORD_DSN": BOOBOO,
        "LASTWORD_ENVIRONMENT": "staging",
        "LASTWORD_RELEASE": "r1",
        "LASTWORD_SPOOL": "/var/spool/lastword",
        "LASTWORD_FLUSHER": "hold",
        "LASTWORD_TIMEOUT": "2.5",
        "LASTWORD_DEBUG": "yes",
    }
    assert Config.load({}, environ) == Config(BOOBOO, "staging", "r1", "/var/spool/lastword", "hold", 2.5, True)


def test_the_spool_may_be_a_path_object() -> None:
    """Programs that use pathlib need no str()."""
    assert Config.load({"spool": Path("/tmp/spool")}, {}).spool == os.fspath(Path("/tmp/spool"))


@pytest.mark.parametrize(
    ("options", "environ", "problem"),
    [
        ({"dns": BOOBOO}, {}, "unknown option 'dns'"),
        ({"dsn": "nonsense"}, {}, "'nonsense'"),
        ({"dsn": 5}, {}, "'dsn' is 5, not a text"),
        ({}, {"LASTWORD_DSN": "nonsense"}, "'nonsense'"),
        ({"flusher": "sometimes"}, {}, "flusher='sometimes' is not one of auto, process, hold"),
        ({"timeout": 0}, {}, "timeout=0.0"),
        ({"timeout": -1}, {}, "timeout=-1.0"),
        ({"timeout": float("nan")}, {}, "timeout=nan"),
        ({"timeout": float("inf")}, {}, "timeout=inf"),
        ({}, {"LASTWORD_TIMEOUT": "soon"}, "LASTWORD_TIMEOUT is 'soon', not a number"),
        ({"debug": "perhaps"}, {}, "'debug' is 'perhaps', neither true nor false"),
    ],
)
def test_a_setting_that_cannot_be_used_is_an_error_that_names_it(
    options: dict[str, Any], environ: dict[str, str], problem: str
) -> None:
    """The message says which option or variable, and the value that it has."""
    with pytest.raises(ConfigError, match=problem):
        Config.load(options, environ)


def test_without_a_dsn_there_is_no_destination() -> None:
    """Events are then kept in the spool and sent nowhere."""
    assert Config.load({}, {}).destination is None


def test_the_destination_carries_what_the_sender_needs() -> None:
    """DSN and timeout, parsed once."""
    assert Config(dsn=BOOBOO, timeout=3.0).destination == Destination(Dsn.parse(BOOBOO), 3.0)
