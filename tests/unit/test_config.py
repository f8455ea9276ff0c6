"""Settings: every form of a DSN, what is wrong with the others, and which of three sources an option comes from."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

import lastword
from lastword.config import OPTIONS, Config
from lastword.dsn import ACCEPTED_DSNS, Destination, Dsn, public_part
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
    """It names what of the DSN is no secret, what is wrong with it, and every accepted form."""
    with pytest.raises(ConfigError, match=problem) as raised:
        Dsn.parse(dsn)
    assert repr(public_part(dsn)) in str(raised.value)
    assert all(form in str(raised.value) for form in ACCEPTED_DSNS)


def test_a_destination_survives_its_file() -> None:
    """What is written to the spool is read back as the same destination with the same key."""
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
    """What is added to an event after it was captured has to follow them too; events of two rules are apart."""
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
def test_a_proxy_that_is_none_is_an_error_without_its_password(proxy: str) -> None:
    """Neither the error nor what is shown of the configuration tells it."""
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


def test_every_option_has_its_variable(tmp_path: Path) -> None:
    """LASTWORD_<OPTION> for each, read as the option's own type."""
    environ = {
        "LASTWORD_DSN": BOOBOO,
        "LASTWORD_ENVIRONMENT": "staging",
        "LASTWORD_RELEASE": "r1",
        "LASTWORD_SPOOL": "/var/spool/lastword",
        "LASTWORD_FLUSHER": "hold",
        "LASTWORD_SHUTDOWN_TIMEOUT": "0.5",
        "LASTWORD_TIMEOUT": "2.5",
        "LASTWORD_CONNECT_TIMEOUT": "1.5",
        "LASTWORD_PROXY": "http://proxy:3128",
        "LASTWORD_CA_BUNDLE": str(tmp_path),
        "LASTWORD_VERIFY": "off",
        "LASTWORD_IGNORE_ERRORS": "KeyError, shop.errors.CardRefused",
        "LASTWORD_SAMPLE_RATE": "0.25",
        "LASTWORD_FLOOD_BURST": "7",
        "LASTWORD_LOG_EVENTS": "critical",
        "LASTWORD_LOG_BREADCRUMBS": "off",
        "LASTWORD_SCRUB": "names",
        "LASTWORD_SCRUB_NAMES": "iban, tax_id",
        "LASTWORD_KEEP_NAMES": "author",
        "LASTWORD_REPR_OF": "shop.Order",
        "LASTWORD_CONTEXT_LINES": "2",
        "LASTWORD_IN_APP": "shop, cart.core",
        "LASTWORD_NOT_IN_APP": "shop.vendored",
        "LASTWORD_MAX_SPOOL": "1000000",
        "LASTWORD_MAX_AGE": "3600.5",
        "LASTWORD_MAX_SET_ASIDE": "2000",
        "LASTWORD_ALL_THREADS": "on",
        "LASTWORD_LOCAL_VARIABLES": "off",
        "LASTWORD_DEBUG": "yes",
    }
    loaded = Config.load({}, environ)
    assert loaded == Config(
        dsn=BOOBOO,
        environment="staging",
        release="r1",
        spool="/var/spool/lastword",
        flusher="hold",
        shutdown_timeout=0.5,
        timeout=2.5,
        connect_timeout=1.5,
        proxy="http://proxy:3128",
        ca_bundle=str(tmp_path),
        verify=False,
        ignore_errors=("KeyError", "shop.errors.CardRefused"),
        sample_rate=0.25,
        flood_burst=7,
        log_events=50,
        log_breadcrumbs=None,
        scrub="names",
        scrub_names=("iban", "tax_id"),
        keep_names=("author",),
        local_variables=False,
        repr_of=("shop.Order",),
        context_lines=2,
        in_app=("shop", "cart.core"),
        not_in_app=("shop.vendored",),
        max_spool=1_000_000,
        max_age=3600.5,
        max_set_aside=2000,
        all_threads=True,
        debug=True,
    )
    assert {f"LASTWORD_{name.upper()}" for name in Config._fields} - set(environ) == {"LASTWORD_BEFORE_SEND"}


def test_a_hook_cannot_be_given_by_a_text() -> None:
    """``before_send`` is a function of the program; a variable of that name says nothing."""
    assert Config.load({}, {"LASTWORD_BEFORE_SEND": "os.abort"}).before_send is None
    assert Config.load({"before_send": print}, {}).before_send is print


@pytest.mark.parametrize(
    ("given", "listed"),
    [
        ([], ()),
        (KeyError, (KeyError,)),
        ([KeyError, "OSError"], (KeyError, "OSError")),
        ((error for error in (KeyError, OSError)), (KeyError, OSError)),
        ({KeyError}, (KeyError,)),
        ("KeyError", ("KeyError",)),
        (" KeyError,shop.Refused \n OSError, ", ("KeyError", "shop.Refused", "OSError")),
        (["KeyError, OSError", ValueError], ("KeyError", "OSError", ValueError)),
    ],
)
def test_errors_to_ignore_are_classes_or_names(given: Any, listed: tuple[Any, ...]) -> None:
    """Any number of them, in any iterable, or one alone; a text may hold several names."""
    assert Config.load({"ignore_errors": given}, {}).ignore_errors == listed


def test_nothing_and_everything_can_be_sampled_and_a_flood_be_let_through() -> None:
    """0 is a value like others, not the lack of one."""
    loaded = Config.load({"sample_rate": 0, "flood_burst": 0}, {"LASTWORD_SAMPLE_RATE": "1"})
    assert (loaded.sample_rate, loaded.flood_burst) == (0.0, 0)


def test_the_spool_may_be_a_path_object() -> None:
    """Programs that use pathlib need no str()."""
    assert Config.load({"spool": Path("/tmp/spool")}, {}).spool == os.fspath(Path("/tmp/spool"))


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("x\0y", "has a NUL character"),
        ("\0", "has a NUL character"),
        ("", "is empty"),
        ("/tmp/\ud800", "is no path here"),
        ("n" * 256, "is too long"),
        ("/tmp/" + "n/" * 2040, "is too long"),
        ("/tmp/" + "n/" * 2000, "is too long"),  # itself it is not, but with what lies in it
    ],
)
def test_a_spool_that_can_be_none_is_said_to_be_none(path: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By ``init``, in a line that can be read, whoever names it; what was set up before stays. Never a ValueError."""
    with pytest.raises(ConfigError, match=problem) as raised:
        lastword.init(spool=path)
    assert "name a directory" in str(raised.value)
    assert len(str(raised.value)) < 1000
    with pytest.raises(ConfigError, match=problem):
        lastword.init(spool=Path(path) if path else path)
    if path:
        with pytest.raises(ConfigError, match=problem):
            Config.load({}, {"LASTWORD_SPOOL": path})


def test_any_other_path_may_be_that_of_a_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of bytes that are no text, of a directory that is not there yet, or is gone, and of what will be seen at a
    capture: a link, a file, what others have put there.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("nowhere")
    for path in (
        os.fsdecode(b"\xff"),
        "a/b/c",
        "link",
        " ",
        "n" * 255,
        __file__,
        "/" + "n/" * 1900,
        f"{__file__}/spool",
    ):
        assert Config.load({"spool": path}, {}).spool == path
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert Config.load({"spool": "spool"}, {}).spool == "spool"


@pytest.mark.parametrize(
    ("options", "environ", "problem"),
    [
        ({"dns": BOOBOO}, {}, "unknown option 'dns'"),
        ({"dsn": "nonsense"}, {}, "the DSN"),
        ({"dsn": 5}, {}, "'dsn' is a int, not a text"),
        ({}, {"LASTWORD_DSN": "nonsense"}, "the DSN"),
        ({"flusher": "sometimes"}, {}, "flusher='sometimes' is not one of auto, process, thread, external, hold"),
        ({"timeout": 0}, {}, "timeout=0.0"),
        ({"timeout": -1}, {}, "timeout=-1.0"),
        ({"timeout": float("nan")}, {}, "timeout=nan"),
        ({"timeout": float("inf")}, {}, "timeout=inf"),
        ({"connect_timeout": 0}, {}, "connect_timeout=0.0 is not a positive number"),
        ({"ca_bundle": "/no/such/file"}, {}, "ca_bundle='/no/such/file' is neither a file nor a directory"),
        ({"verify": "perhaps"}, {}, "'verify' is 'perhaps', neither true nor false"),
        ({}, {"LASTWORD_TIMEOUT": "soon"}, "LASTWORD_TIMEOUT is 'soon', not a number"),
        ({"shutdown_timeout": -1}, {}, "shutdown_timeout=-1.0 is less than 0"),
        ({"shutdown_timeout": float("inf")}, {}, "shutdown_timeout=inf"),
        ({"debug": "perhaps"}, {}, "'debug' is 'perhaps', neither true nor false"),
        ({"sample_rate": 1.5}, {}, "sample_rate=1.5 is not between 0 and 1"),
        ({"sample_rate": -0.1}, {}, "sample_rate=-0.1"),
        ({"sample_rate": float("nan")}, {}, "sample_rate=nan"),
        ({}, {"LASTWORD_SAMPLE_RATE": "half"}, "LASTWORD_SAMPLE_RATE is 'half', not a number"),
        ({"flood_burst": -1}, {}, "flood_burst=-1 is less than 0"),
        ({"flood_burst": 1.5}, {}, "'flood_burst' is 1.5, not a whole number"),
        ({"flood_burst": float("inf")}, {}, "'flood_burst' is inf, not a whole number"),
        ({"context_lines": 51}, {}, "context_lines=51 is not between 0 and 50"),
        ({"context_lines": -1}, {}, "context_lines=-1 is not between 0 and 50"),
        ({"in_app": ["shop", "ca-rt"]}, {}, "'in_app' holds 'ca-rt', which is no name of a module"),
        (
            {},
            {"LASTWORD_NOT_IN_APP": "shop/cart"},
            "LASTWORD_NOT_IN_APP holds 'shop/cart', which is no name of a module",
        ),
        ({"scrub": "some"}, {}, "scrub='some' is not one of all, names, off"),
        ({"scrub_names": 5}, {}, "'scrub_names' is 5, not a list of names"),
        ({"scrub_names": ["a", 5]}, {}, "'scrub_names' holds 5, which is no name"),
        ({"scrub_names": ["-"]}, {}, "'scrub_names' holds '-', which is no name"),
        ({}, {"LASTWORD_KEEP_NAMES": "x" * 1001}, "LASTWORD_KEEP_NAMES holds 'xxx"),
        ({"proxy": f"http://127.0.0.1/{'x' * 4096}"}, {}, "proxy is no URL"),
        ({}, {"LASTWORD_FLOOD_BURST": "many"}, "LASTWORD_FLOOD_BURST is 'many', not a whole number"),
        ({"before_send": "shop.hook"}, {}, "'before_send' is 'shop.hook', which cannot be called"),
        ({"ignore_errors": 5}, {}, "'ignore_errors' is 5, neither exception classes nor names"),
        ({"ignore_errors": [5]}, {}, "'ignore_errors' holds 5, neither an exception class"),
        ({"ignore_errors": [int]}, {}, "'ignore_errors' holds <class 'int'>, neither an exception class"),
        ({}, {"LASTWORD_IGNORE_ERRORS": "Key-Error"}, "LASTWORD_IGNORE_ERRORS holds 'Key-Error', which is no name"),
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


def test_the_reference_in_the_readme_is_the_table() -> None:
    """Every option has a row there: its name, its variable, its default and its sentence."""
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| `[a-z_]+` \|.*\|.*\|.*\|$", readme, re.MULTILINE)
    assert sorted(row for row in rows if row.split("`")[1] in OPTIONS) == sorted(map(row_of, OPTIONS))


def row_of(name: str) -> str:
    option, default = OPTIONS[name], Config._field_defaults[name]
    value = f"{default:g}" if type(default) is float else f"{default}"
    shown = option.shown or WORDS.get(value, f"`{value}`")
    variable = f"`LASTWORD_{name.upper()}` " if option.has_variable else ""
    meaning = f"{option.meaning} " if option.meaning else ""
    return f"| `{name}` | {variable}| {shown} | {meaning}|"


WORDS = {"None": "none", "()": "none", "True": "on", "False": "off"}
