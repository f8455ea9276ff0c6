"""Every form of a DSN, what is wrong with the others, and what a destination carries to the flusher."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lastword.config import Config
from lastword.dsn import ACCEPTED_DSNS, Destination, Dsn, public_part
from lastword.errors import ConfigError
from tests.support.promise import Section, promise

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


@promise(
    Section.HOSTILE_INPUT, "A DSN, proxy or name that is too long to be read back is refused", broken_by="any length"
)
@pytest.mark.parametrize(
    ("dsn", "problem"),
    [
        ("", "scheme"),
        ("TOKEN", "scheme"),
        ("ingest.booboo.dev", "scheme"),
        ("ftp://TOKEN@ingest.booboo.dev/a/b", "scheme is not http"),
        ("booboo+ftp://TOKEN@h.example/a/b", "scheme is not http"),
        ("booboo:https://TOKEN@h.example", "scheme"),
        ("https://TOKEN@tracker.example/a/b", "needs the prefix"),
        ("https://TOKEN@notbooboo.dev/a/b", "needs the prefix"),
        ("https://TOKEN@booboo.dev.example/a/b", "needs the prefix"),
        ("airbrake+https://TOKEN@h.example/a/b", "no known format"),
        ("+https://TOKEN@h.example/a/b", "no known format"),
        ("booboo+https://h.example/a/b", "no token"),
        ("booboo+https://:password@h.example/a/b", "no token"),
        ("booboo+https://TOKEN@/a/b", "names no host"),
        ("booboo+https://TOKEN@:8000/a/b", "names no host"),
        ("booboo+https://TOKEN@h.example:port/a/b", "port is no number"),
        ("booboo+https://TOKEN@h.example:99999/a/b", "port is no number"),
        ("booboo+https://TOKEN@[::1/a/b", "brackets"),
        ("booboo+https://TO\u2100KEN@h\uff0fexample/a/b", "its host is none"),
        ("backtrace+https://h.example?token=\udc80", "characters that no URL can have"),
        ("booboo+https://TO\nKEN@h.example/a/b", "characters that no URL can have"),
        ("backtrace+https://h.example:6098", "no token"),
        ("backtrace+https://h.example:6098?token=", "no token"),
        ("backtrace+https://submit.backtrace.io/universe", "UNIVERSE/TOKEN"),
        ("backtrace+https://submit.backtrace.io/", "UNIVERSE/TOKEN"),
        (f"booboo+https://TOKEN@h.example/{'x' * 4096}", "more than 4096 characters"),
        ("sentry+https://KEY@h.example/1", "not there yet"),
        ("https://KEY@o1.ingest.sentry.io/1", "not there yet"),
    ],
)
def test_a_dsn_that_cannot_be_used_is_an_error_that_helps(dsn: str, problem: str) -> None:
    """It names the harmless parts of the DSN, the mistake, and every accepted form."""
    with pytest.raises(ConfigError, match=problem) as raised:
        Dsn.parse(dsn)
    assert repr(public_part(dsn)) in str(raised.value)
    assert all(form in str(raised.value) for form in ACCEPTED_DSNS)


@promise(Section.NETWORK, "Destination files without newer options keep their key", broken_by="defaults written")
def test_destination_survives_its_file_with_the_same_key() -> None:
    """It is written to the spool and read back."""
    destination = Destination(Dsn.parse(BOOBOO), timeout=2.5)
    again = Destination.decode(destination.encode())
    assert (again, again.key) == (destination, destination.key)
    assert len(destination.key) == 12
    assert destination.key != Destination(Dsn.parse(BOOBOO), timeout=3.0).key


def test_a_destination_carries_what_the_sender_needs_to_know_of_the_network(tmp_path: Path) -> None:
    """All of it goes through the file; a relative bundle is made absolute, for the flusher is elsewhere."""
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    options = {"connect_timeout": 0.5, "proxy": "http://u:p@proxy:3128", "ca_bundle": os.path.relpath(bundle)}
    made = Config.load({"dsn": BOOBOO, "verify": "no", **options}, {}).destination
    assert made is not None
    assert Destination.decode(made.encode()) == made
    assert (made.connect_timeout, made.proxy, made.ca_bundle) == (0.5, "http://u:p@proxy:3128", str(bundle))
    assert made.verify is False


def test_a_destination_carries_the_rules_of_scrubbing() -> None:
    """Later additions to an event follow them; destinations with different rules are different."""
    plain = Config.load({"dsn": BOOBOO}, {}).destination
    made = Config.load(
        {"dsn": BOOBOO, "scrub_names": ["iban"], "keep_names": "author", "scrub": "names"}, {}
    ).destination
    assert plain is not None
    assert made is not None
    assert b"scrub" not in plain.encode()
    assert Destination.decode(made.encode()) == made
    assert (made.scrub, made.scrub_names, made.keep_names) == ("names", ("iban",), ("author",))
    assert made.key != plain.key


def test_a_destination_file_without_newer_options_keeps_its_key() -> None:
    """Events that an older version recorded name it by that."""
    content = b'{"dsn": {"token": "TOKEN", "url": "https://h.example/", "wire": "booboo"}, "timeout": 10.0}'
    old = Destination.decode(content)
    assert old.encode() == content
    assert (old.connect_timeout, old.proxy, old.ca_bundle, old.verify) == (None, None, None, True)


@pytest.mark.parametrize(
    "proxy", ["user:SECRET@proxy:3128", "socks5://u:SECRET@h:1", "http://u:SECRET@", "http://u:SECRET@h:x", ""]
)
def test_invalid_proxy_is_an_error_without_its_password(proxy: str) -> None:
    """Neither the error nor the repr of the configuration shows it."""
    with pytest.raises(ConfigError, match="http://USER:PASSWORD@HOST:PORT") as raised:
        Config.load({"proxy": proxy}, {})
    assert "SECRET" not in str(raised.value)
    with pytest.raises(ConfigError, match="'proxy' is a dict, not a text"):
        Config.load({"proxy": {"https": proxy}}, {})
    usable = Config.load({"dsn": BOOBOO, "proxy": "https://u:SECRET@h:1"}, {})
    assert "SECRET" not in repr(usable) + repr(usable.destination)


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
    """Whatever the file holds."""
    with pytest.raises(ConfigError, match="not a destination"):
        Destination.decode(content)


def test_without_a_dsn_there_is_no_destination() -> None:
    """Events are then kept in the spool and sent nowhere."""
    assert Config.load({}, {}).destination is None


def test_the_destination_carries_what_the_sender_needs() -> None:
    """DSN and timeout, parsed once."""
    assert Config(dsn=BOOBOO, timeout=3.0).destination == Destination(Dsn.parse(BOOBOO), 3.0)
