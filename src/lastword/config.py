"""The options of ``init``, in one table, and their check.

The value of an option comes from the first of these that is given: the argument of ``init``, the environment variable
``LASTWORD_<OPTION>`` (``LASTWORD_DSN``, ``LASTWORD_SAMPLE_RATE`` …), the default. A row of the table has the type and
the default of an option; its ``Option`` defines how a value is read and checked, and its text in the README's
reference; a comment above it says what the text leaves out. To add an option, add a row.
"""

import os
from collections.abc import Mapping
from typing import Annotated, Any, Callable, NamedTuple, Optional, Union

from lastword.dsn import Destination, Dsn, public_part
from lastword.errors import ConfigError
from lastword.options import (
    Option,
    a_dsn,
    a_hook,
    a_log_level,
    a_number,
    a_path,
    a_possible_spool,
    a_proxy,
    a_secret,
    a_switch,
    a_text,
    a_whole_number,
    between,
    classes,
    error_classes,
    guarded,
    modules,
    more_than_0,
    names,
    not_below_0,
    one_of,
    something_there,
)

FLUSHER_MODES = ("auto", "process", "thread", "external", "hold")
SCRUB_MODES = ("all", "names", "off")

MAX_CONTEXT_LINES = 50


class _Options(NamedTuple):
    # Where events go; None keeps them in the spool and sends nothing.
    dsn: Annotated[Optional[str], Option(a_secret, "see above", check=a_dsn)] = None

    # For example ``production`` (most trackers keep at most 64 characters).
    environment: Annotated[str, Option(a_text, "")] = "production"

    # None guesses it (``capture.release``); a text, even "", is used unchanged.
    release: Annotated[
        Optional[str],
        Option(
            a_text,
            "the version of your program; by itself what the platform names (`GITHUB_SHA` …), else git's commit",
            shown="guessed",
        ),
    ] = None

    # None finds one at the first record (see ``spool.layout``).
    spool: Annotated[
        Optional[str], Option(a_path, "the spool directory", check=a_possible_spool, shown="see below")
    ] = None

    # How events get from the spool to the tracker. ``process``: by a detached process, ``thread``: by a thread of this
    # process, each started by a process that has captured an event and finds no leader; ``external``: by ``lastword
    # flusher`` or ``flush``, nothing is started; ``hold``: not at all. ``auto`` is ``process`` where a process can be
    # started (see ``launch.mode``).
    flusher: Annotated[
        str, Option(a_text, '`process`, `thread`, `external` or `hold`: see "Who sends"', check=one_of(*FLUSHER_MODES))
    ] = "auto"

    # An ending process does not wait when nothing is pending or when the tracker cannot be reached.
    shutdown_timeout: Annotated[
        float,
        Option(
            a_number,
            "seconds that an ending process waits at most for what it captured; `0`: not at all",
            check=not_below_0,
        ),
    ] = 2.0

    # Counted from the moment the event is sent.
    timeout: Annotated[float, Option(a_number, "seconds for the tracker's whole answer", check=more_than_0)] = 10.0

    # To the tracker, or to the proxy.
    connect_timeout: Annotated[
        Optional[float], Option(a_number, "seconds for connecting", check=more_than_0, shown="`timeout`")
    ] = None

    # For everything that is sent; None uses the flusher's environment (``HTTPS_PROXY``, ``NO_PROXY`` …).
    proxy: Annotated[
        Optional[str], Option(a_secret, "`http://[USER:PASSWORD@]HOST:PORT`", check=a_proxy, shown="`HTTPS_PROXY` …")
    ] = None

    # None uses the flusher's environment (``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE``, ``SSL_CERT_FILE``), else certifi.
    ca_bundle: Annotated[
        Optional[str],
        Option(
            a_path,
            "file or directory of the CA certificates to trust",
            check=something_there,
            shown="`REQUESTS_CA_BUNDLE` …",
        ),
    ] = None

    # False sends events without checking the server's certificate: for trying things out.
    verify: Annotated[bool, Option(a_switch, "off: whoever answers is believed")] = True

    all_threads: Annotated[
        bool,
        Option(a_switch, "stacks of the other threads too, in the spool; Backtrace always gets them, booboo never"),
    ] = False

    # In a text, commas or blanks separate the names.
    ignore_errors: Annotated[
        tuple[Union[type[BaseException], str], ...],
        Option(
            error_classes,
            "exceptions not to report, subclasses included: classes, or names (`KeyError,shop.CardRefused`)",
        ),
    ] = ()

    # Each event is drawn independently.
    sample_rate: Annotated[
        float, Option(a_number, "the share of events to keep, from `0` to `1`", check=between(0, 1))
    ] = 1.0

    # Alike are exceptions of one class raised at one line, and messages from one line. None keeps all while the spool
    # is less than a quarter full; for a fuller one see ``admission.floods``.
    flood_burst: Annotated[
        Optional[int],
        Option(
            a_whole_number,
            "so many events that are alike a process keeps at once, of more one a second; `0` keeps all; by default "
            "all are kept while the spool has room (see below)",
            check=not_below_0,
            shown="by room",
        ),
    ] = None

    # ``all`` removes values with a secret name, and parts of texts that look like a secret (see the package ``scrub``),
    # before any other code sees the event.
    scrub: Annotated[
        str, Option(a_text, "`names` leaves texts alone, `off` filters nothing", check=one_of(*SCRUB_MODES))
    ] = "all"

    # More secret names: a name matches if it contains one of them; case is ignored, ``-`` and ``_`` are equal.
    scrub_names: Annotated[tuple[str, ...], Option(names, "more words that make a name secret (`iban,tax_id`)")] = ()

    # Although they contain a secret word; case is ignored.
    keep_names: Annotated[tuple[str, ...], Option(names, "whole names to show all the same (`author`)")] = ()

    local_variables: Annotated[bool, Option(a_switch, "the local variables of each frame; `off`: not even read")] = True

    # Subclasses included, where the objects are local variables; all others are shown by class and address. A
    # ``__repr__`` runs even if it queries a database or waits; after 10 ms per event no more are called.
    repr_of: Annotated[
        tuple[Union[type, str], ...],
        Option(classes, "classes, or names, shown by their own `__repr__`: it runs in the midst of a capture"),
    ] = ()

    context_lines: Annotated[
        int,
        Option(
            a_whole_number,
            "lines of source above each frame's own, and below it; up to `50` (a booboo server is sent 5 at most)",
            check=between(0, MAX_CONTEXT_LINES),
        ),
    ] = 5

    # By default the modules in-app are those that are neither installed nor part of Python.
    in_app: Annotated[
        tuple[str, ...],
        Option(modules, "modules that are your own although they are installed (`shop` has `shop.cart`)"),
    ] = ()

    not_in_app: Annotated[
        tuple[str, ...], Option(modules, "modules that are not; the longest name that fits counts")
    ] = ()

    # Takes each event (``lastword.event.Event``, scrubbed, a copy that it may change) before the disk is touched, and
    # returns the event to keep, or None. If it raises, or returns anything else, the event is dropped, counted and
    # noted; a value that JSON does not know (a date, a UUID) becomes its text. It runs wherever a capture does: keep it
    # short, without locks. It cannot be ``async``.
    before_send: Annotated[
        Optional[Callable[[Any], Any]],
        Option(
            a_hook,
            "your function: takes each event before it is written, returns what to keep of it, or `None`",
            has_variable=False,
        ),
    ] = None

    # A name, or a number. Uncaught exceptions in asyncio arrive through its logger and always become events.
    log_events: Annotated[
        Optional[int],
        Option(a_log_level, "log records of this level and above are reported; `off`: none", shown="`ERROR`"),
    ] = 40

    # If records of level WARNING become breadcrumbs, so do warnings that Python shows.
    log_breadcrumbs: Annotated[
        Optional[int],
        Option(a_log_level, "log records of this level and above become breadcrumbs; `off`: none", shown="`INFO`"),
    ] = 20

    # Of all segments together. Programs that share a spool share its limits: the largest value counts, for this option
    # and the next two.
    max_spool: Annotated[
        Optional[int],
        Option(
            a_whole_number,
            "bytes; at most a tenth of the free space, 32 MiB in memory; beyond it the oldest events go, counted "
            "(without a flusher: the newest)",
            check=not_below_0,
            shown="256 MiB",
        ),
    ] = None

    max_age: Annotated[
        float,
        Option(
            a_number,
            "seconds for which an event is worth keeping; it is tried once before it goes",
            check=not_below_0,
            shown="7 days",
        ),
    ] = 7 * 24 * 3600.0

    max_set_aside: Annotated[
        int,
        Option(
            a_whole_number,
            "bytes of disk for what trackers refused, and for damage; a file takes 4 KiB at least. Damage goes "
            "first, then the oldest",
            check=not_below_0,
            shown="32 MiB",
        ),
    ] = 32 << 20

    debug: Annotated[bool, Option(a_switch, "say at once what is otherwise said at most once a minute")] = False


OPTIONS: dict[str, Option] = {name: hint.__metadata__[0] for name, hint in _Options.__annotations__.items()}


class Config(_Options):
    """The options of ``init``, with checked values."""

    __slots__ = ()

    def __new__(cls, **options: Any) -> "Config":
        config = super().__new__(cls, **options)
        for name, option in OPTIONS.items():
            value = getattr(config, name)
            if value is not None and option.check is not None:
                option.check(name, value)
        return config

    def __repr__(self) -> str:
        dsn = None if self.dsn is None else public_part(self.dsn)
        return f"Config(dsn={dsn!r}, ...)"  # a proxy may have a password

    @property
    def destination(self) -> Optional[Destination]:
        return None if self.dsn is None else self.destination_at(Dsn.parse(self.dsn))

    def destination_at(self, dsn: Dsn) -> Destination:
        """Return ``dsn`` with the options that decide how events get there."""
        options = {name: getattr(self, name) for name in Destination._fields}
        bundle = self.ca_bundle and os.path.abspath(self.ca_bundle)
        return Destination(**{**options, "dsn": dsn, "ca_bundle": bundle})

    @classmethod
    def load(cls, options: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> "Config":
        """Build a Config from ``options``, then environment variables, then defaults.

        An option of None and an empty variable count as not given. Raises ConfigError for an unknown option and for
        an unusable value.
        """
        unknown = sorted(set(options) - set(OPTIONS))
        if unknown:
            raise ConfigError(f"unknown option {unknown[0]!r}; the options are {', '.join(OPTIONS)}")
        chosen: dict[str, Any] = {}
        for name, option in OPTIONS.items():
            variable = f"LASTWORD_{name.upper()}"
            if options.get(name) is not None:
                chosen[name] = guarded(option.read, options[name], repr(name))
            elif environ.get(variable) and option.has_variable:
                chosen[name] = option.read(environ[variable], variable)
        return cls(**chosen)
