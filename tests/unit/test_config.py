"""Settings: which of three sources an option comes from, and which values it can have."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

import lastword
from lastword.config import OPTIONS, Config
from lastword.errors import ConfigError
from tests.support.promise import Section, promise

BOOBOO = "booboo+https://TOKEN@ingest.booboo.dev/organisation/project"


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


#: An option → (a text that its variable may hold, the value that it is read as).
FROM_VARIABLES = {
    "dsn": (BOOBOO, BOOBOO),
    "environment": ("staging", "staging"),
    "release": ("r1", "r1"),
    "spool": ("/var/spool/lastword", "/var/spool/lastword"),
    "flusher": ("hold", "hold"),
    "shutdown_timeout": ("0.5", 0.5),
    "timeout": ("2.5", 2.5),
    "connect_timeout": ("1.5", 1.5),
    "proxy": ("http://proxy:3128", "http://proxy:3128"),
    "ca_bundle": ("/", "/"),
    "verify": ("off", False),
    "ignore_errors": ("KeyError, shop.errors.CardRefused", ("KeyError", "shop.errors.CardRefused")),
    "sample_rate": ("0.25", 0.25),
    "flood_burst": ("7", 7),
    "log_events": ("critical", 50),
    "log_breadcrumbs": ("off", None),
    "scrub": ("names", "names"),
    "scrub_names": ("iban, tax_id", ("iban", "tax_id")),
    "keep_names": ("author", ("author",)),
    "repr_of": ("shop.Order", ("shop.Order",)),
    "context_lines": ("2", 2),
    "in_app": ("shop, cart.core", ("shop", "cart.core")),
    "not_in_app": ("shop.vendored", ("shop.vendored",)),
    "max_spool": ("1000000", 1_000_000),
    "max_age": ("3600.5", 3600.5),
    "max_set_aside": ("2000", 2000),
    "all_threads": ("on", True),
    "local_variables": ("off", False),
    "debug": ("yes", True),
}


def test_every_option_has_its_variable() -> None:
    """LASTWORD_<OPTION> for each, read as the option's own type."""
    environ = {f"LASTWORD_{name.upper()}": text for name, (text, _) in FROM_VARIABLES.items()}
    values: dict[str, Any] = {name: value for name, (_, value) in FROM_VARIABLES.items()}
    assert Config.load({}, environ) == Config(**values)
    assert set(Config._fields) - set(values) == {"before_send"}


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


def test_zero_is_a_valid_sample_rate_and_flood_burst() -> None:
    """0 is a value like others, not the lack of one."""
    loaded = Config.load({"sample_rate": 0, "flood_burst": 0}, {"LASTWORD_SAMPLE_RATE": "1"})
    assert (loaded.sample_rate, loaded.flood_burst) == (0.0, 0)


def test_the_spool_may_be_a_path_object() -> None:
    """Programs that use pathlib need no str()."""
    assert Config.load({"spool": Path("/tmp/spool")}, {}).spool == os.fspath(Path("/tmp/spool"))


@promise(Section.PRIVATE, "A spool path that cannot work is a ConfigError that says why", broken_by="not checked")
@promise(Section.HOSTILE_INPUT, "A DSN, proxy or name that is too long to be read back is refused")
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
def test_impossible_spool_path_is_a_config_error(path: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_any_other_path_is_accepted_as_a_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


@promise(Section.HOSTILE_INPUT, "A DSN, proxy or name that is too long to be read back is refused")
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
