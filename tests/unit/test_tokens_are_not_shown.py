"""Of settings that cannot be used no error shows a token or password, however malformed they are; nor does a repr."""

from __future__ import annotations

import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

import pytest

import lastword
from lastword import cli
from lastword.config import Config
from lastword.dsn import Destination, Dsn, public_part
from lastword.errors import ConfigError
from lastword.scrub import is_sensitive
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.PRIVATE,
    "No error, command, variable, repr or damaged destination shows the token of a DSN, however malformed",
    broken_by="`urllib`'s message repeated; the DSN as it is; undecodable bytes as their repr; a repr of "
    "tuples; argparse's message repeated; a DSN that is no text shown",
)

S = "s3cr3tt0k3n"

#: Each has the token where people, shells and templates put it by mistake.
MALFORMED = [
    *(S, f" {S}\n", f"//{S}@h.example", f"{S}@h.example", f"{S}@h.example/o/p", f"h.example/{S}", f"'{S}'"),
    *(f"{S}://h.example", f"{S}+https://h.example/o/p", f"booboo+{S}://h.example", f"booboo:https://{S}@h.example"),
    *(f"booboo+https://{S}h.example/o/p", f"sentry+https://{S}h.example/1", f"https://{S}h.example/o/p"),
    *(f"ftp://{S}@h.example/a/b", f"booboo+https:/{S}@h.example", f"https:{S}@h.example"),
    *(f"https://{S}@h.example/a/b", f"https://{S}", f"https://{S}/o/p", f"https://h.example/{S}/x"),
    *(f"https://h.example?token={S}", f"https://h.example#{S}", f"https://h.example:{S}", f"https://h:{S}@"),
    *(f"airbrake+https://{S}@h.example/a/b", f"+https://{S}@h.example/a/b", f"sentry+https://{S}@h.example/1"),
    *(f"https://{S}@o1.ingest.sentry.io/1", f"sentry+https://k:{S}@h.example/1", f"booboo+https://h.example/{S}"),
    *(f"booboo+https://:{S}@h.example/a/b", f"booboo+https://{S}@/a/b", f"booboo+https://{S}@:8000/a/b"),
    *(f"booboo+https://{S}@h.example:port/a/b", f"booboo+https://{S}@h.example:99999/a", f"booboo+https://h:{S}/a"),
    *(f"booboo+https://{S}@[::1/a/b", f"booboo+https://[{S}]/a", f"booboo+https://{S}[@h.example/a/b"),
    *(f"booboo+https://h.example@{S}:x/a", f"booboo+https://to/{S}@h.example:x/a", f"booboo+https://t.ok/{S}@h.example:x"),
    *(f"booboo+https://{S}.ok/x@h.example:x/a", f"booboo+https://{S}.ok?x@h.example:x/a", f"booboo+https://{S}.ok#@h:x"),
    *(f"booboo+https://{S}\n@h.example/a/b", f"booboo+https://{S}\0@h.example/a", f"booboo+https://{S}\udc80@h.example/"),
    *(f"booboo+https://{S}@h\uff0fexample/a/b", f"booboo+https://{S}\u2100@h.example/a/b", f"booboo+https://{S}\u0100@h.example"),
    *(f"backtrace+https://h.example:6098/{S}", f"backtrace+https://h.example?t0ken={S}", f"backtrace+https://h.ex?token={S}\udc80"),
    *(f"backtrace+https://submit.backtrace.io/{S}", f"https://submit.backtrace.io?x={S}", f"backtrace+https://{S}/?token="),
    *(f"https://x.sp.backtrace.io/{S}?token=", f"https://x.sp.backtrace.io:{S}?token=x", f"LASTWORD_DSN=booboo+https://{S}@h.e/a"),
    *(f"booboo+https://{S}@token={S}", f"booboo+https://x@to;{S}/o/p", f"booboo+https://{S}@{S}.example:99999/o/p"),
    *(f"booboo+https://{S}@x{S.upper()}.example:port", f"backtrace+https://{S}.example:99999?token={S}"),
    *(f"https://booboo.dev/{S}", f"https://booboo.dev:{S}/", f"https://:{S}@booboo.dev/o", f"https://{S}@"),
]  # fmt: skip


def everything_said_by(error: Optional[BaseException]) -> str:
    """By it and all that it is tied to, suppressed or not, as any reporter could show it."""
    said = []
    while error is not None:
        said += [
            str(error),
            repr(error),
            repr(error.args),
            repr(vars(error)),
            *traceback.format_exception_only(type(error), error),
        ]
        said += [repr(getattr(error, name, "")) for name in ("object", "doc", "reason", "filename")]
        error = error.__cause__ or error.__context__
    return "\n".join(said).lower()


@pytest.mark.parametrize("dsn", MALFORMED)
def test_no_error_shows_the_token(dsn: str) -> None:
    """Neither as the argument, nor from the environment, nor where it is parsed alone; and what is wrong is said."""
    for use in (
        lambda: Dsn.parse(dsn),
        lambda: Config.load({"dsn": dsn}),
        lambda: Config.load({}, {"LASTWORD_DSN": dsn}),
    ):
        with pytest.raises(ConfigError, match=r"the DSN '.*' cannot be used: (?:it|its|the sentry format) ") as raised:
            use()
        assert S not in everything_said_by(raised.value)


def test_local_variables_with_the_token_are_filtered() -> None:
    """Reporters show the variables of the frames that an error came through: by their names these are filtered."""
    shown = []
    for dsn in MALFORMED:
        with pytest.raises(ConfigError) as raised:
            Dsn.parse(dsn)
        frames = [frame for frame, _ in traceback.walk_tb(raised.value.__traceback__)][1:]
        shown += [name for frame in frames for name, value in frame.f_locals.items() if S in repr(value)]
    assert shown
    assert [name for name in shown if not is_sensitive(name)] == []


@pytest.mark.parametrize(
    "dsn", [f"https://{S}@h.example".encode(), {"dsn": f"https://{S}"}, [f"https://{S}@h.example"]]
)
def test_dsn_that_is_no_text_is_not_shown(dsn: Any) -> None:
    """Only its class is."""
    with pytest.raises(ConfigError, match=f"'dsn' is a {type(dsn).__name__}, not a text") as raised:
        lastword.init(dsn)
    assert S not in everything_said_by(raised.value)


def test_harmless_parts_of_a_dsn_are_shown() -> None:
    """They show which DSN is meant."""
    shown = {
        f"booboo+https://{S}@ingest.booboo.dev:x/o/p": "booboo+https://***",
        f"booboo+https://{S}:{S}@ingest.booboo.dev:80/o/p": "booboo+https://***@ingest.booboo.dev:80/***",
        f"https://submit.backtrace.io/{S}/json": "https://submit.backtrace.io/***",
        f"backtrace+http://[::1]:6098?token={S}": "backtrace+http://[::1]:6098?***",
        f"booboo+https://{S}h.example/o/p": "booboo+https://***",
        f"https://{S}ingest.booboo.dev/o/p": "https://***",
        "booboo+https://localhost:8000/o/p": "booboo+https://localhost:8000/***",
        "sentry+https://127.0.0.1": "sentry+https://127.0.0.1",
        "": "",
    }
    assert {dsn: public_part(dsn) for dsn in shown} == shown


def test_no_repr_shows_the_token() -> None:
    """Of valid configurations, destinations and DSNs, in any way to make them a text."""
    for dsn in (f"booboo+https://{S}@h.example/o/p", f"backtrace+https://h.example?token={S}",
                f"https://submit.backtrace.io/universe/{S}/json"):  # fmt: skip
        config = Config.load({"dsn": dsn, "proxy": f"http://u:{S}@proxy:3128"}, {})
        assert config.destination is not None
        for one in (config, config.destination, config.destination.dsn):
            for text in (repr(one), str(one), f"{one}", repr([one]), "%s" % (one and [one])):
                assert S not in text
    assert S not in repr(Dsn("backtrace", f"nonsense {S}", S))


@pytest.mark.parametrize("host", [S, f"{S.upper()}.example", f"x-{S}.example:8000"])
def test_a_host_that_holds_the_token_is_shown_without_it(host: str) -> None:
    for dsn in (f"booboo+https://{S}@{host}/o/p", f"backtrace+https://{host}?token={S}"):
        place = Dsn.parse(dsn).place
        assert S not in place.lower()
        assert "[filtered]" in place


@pytest.mark.parametrize(
    "host", ["my_service", "bücher.example", "[::1]:8000", "[fe80::1%25eth0]", "10.0.0.1", "localhost"]
)
def test_any_host_that_may_exist_is_one(host: str) -> None:
    assert Dsn.parse(f"booboo+https://{S}@{host}/o/p").place == f"booboo at https://{host}"


@pytest.mark.parametrize("damage", [b"\xff", b'"', b"}", b',"more":1'])
def test_error_of_a_damaged_destination_does_not_show_the_token(damage: bytes) -> None:
    """Wherever it is damaged; `lastword status` and others repeat the error."""
    content = Destination(Dsn.parse(f"booboo+https://{S}@h.example/o/p"), 5.0).encode()
    for place in range(content.index(b"token") - 2):
        with pytest.raises(ConfigError) as raised:
            Destination.decode(content[:place] + damage + content[place:])
        assert S not in everything_said_by(raised.value)


COMMANDS = [
    *(["test", "{}"], ["doctor", "{}"], ["redirect", "none", "{}"], ["redirect", "{}", "booboo+https://t@h.example/"]),
    *(["{}"], ["status", "{}"], ["test", "x", "{}"], ["flush", "--timeout", "{}"]),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_shows_a_dsn_argument(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also in place of another argument, as when the shell splits a DSN."""
    monkeypatch.setenv("LASTWORD_SPOOL", str(tmp_path / "spool"))
    lastword.init()
    lastword.capture_message("there is a spool")
    lastword.close()
    for dsn in MALFORMED:
        if "://" in dsn or "@" in dsn:
            with suppress(SystemExit):
                assert cli.main([part.format(dsn) for part in command]) == 2
    shown = capsys.readouterr()
    assert S not in (shown.out + shown.err).lower()


@pytest.mark.parametrize("command", ["status", "doctor", "test", "flush", "ls", "purge --all"])
def test_no_command_shows_the_dsn_of_the_environment(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command reads it."""
    for dsn in MALFORMED:
        if dsn.isprintable():
            monkeypatch.setenv("LASTWORD_DSN", dsn)
            assert cli.main(command.split()) == 2
    shown = capsys.readouterr()
    assert "cannot be used" in shown.err
    assert S not in (shown.out + shown.err).lower()
