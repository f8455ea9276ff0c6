"""Settings, checked once: the options of ``init``.

Every option can be given in three ways; the first that is given wins: the argument of ``init``, the environment
variable ``LASTWORD_<OPTION>`` (``LASTWORD_DSN``, ``LASTWORD_SAMPLE_RATE`` …), the default. ``before_send`` has no
variable: no text can say it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from typing import Any, Callable, NamedTuple, Optional, Union
from urllib.parse import urlsplit

from lastword.callables import PLAIN, gives
from lastword.dsn import LONGEST_URL, Destination, Dsn, public_part
from lastword.errors import ConfigError
from lastword.interruption import anything, failures

FLUSHER_MODES = ("auto", "process", "thread", "external", "hold")
SCRUB_MODES = ("all", "names", "off")

MAX_CONTEXT_LINES = 50
_LONGEST_NAME = 1000

#: Characters: the longest path of a file inside a spool, and of a spool that is shown whole.
_LONGEST_INSIDE, _LONGEST_TOLD = 120, 200

_name_of = type.__dict__["__name__"].__get__

_LOG_LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


class _Options(NamedTuple):
    dsn: Optional[str] = None
    environment: str = "production"
    release: Optional[str] = None
    spool: Optional[str] = None
    flusher: str = "auto"
    shutdown_timeout: float = 2.0
    timeout: float = 10.0
    connect_timeout: Optional[float] = None
    proxy: Optional[str] = None
    ca_bundle: Optional[str] = None
    verify: bool = True
    all_threads: bool = False
    ignore_errors: tuple[Union[type[BaseException], str], ...] = ()
    sample_rate: float = 1.0
    flood_burst: Optional[int] = None
    scrub: str = "all"
    scrub_names: tuple[str, ...] = ()
    keep_names: tuple[str, ...] = ()
    local_variables: bool = True
    repr_of: tuple[Union[type, str], ...] = ()
    context_lines: int = 5
    in_app: tuple[str, ...] = ()
    not_in_app: tuple[str, ...] = ()
    before_send: Optional[Callable[[Any], Any]] = None
    log_events: Optional[int] = 40
    log_breadcrumbs: Optional[int] = 20
    max_spool: Optional[int] = None
    max_age: float = 7 * 24 * 3600.0
    max_set_aside: int = 32 << 20
    debug: bool = False


class Config(_Options):
    """The options of ``init``.

    Attributes:
        dsn: where events go; None keeps them in the spool and sends nothing.
        environment: such as ``production`` (at most 64 characters are kept by most trackers).
        release: the version of the program, as you name it; None takes what the platform names (``GITHUB_SHA`` and the
            like), else the commit that git has checked out (``capture.release``). A text, "" too, stands as it is.
        spool: the spool directory; None finds one at the first record (see ``spool.layout``).
        flusher: how events get from the spool to the tracker. ``process``: by a detached process, ``thread``: by a
            thread of this one, each started by whoever has something to say and finds that nobody leads;
            ``external``: by ``lastword flusher`` or ``flush``, nothing is started; ``hold``: not at all. ``auto`` is
            ``process`` where one can be started (see ``launch.mode``).
        shutdown_timeout: seconds that the end of a process waits, at most, for what this process captured and is not
            delivered yet; 0 does not wait. It ends as fast as it can where nothing is pending, and where the tracker
            cannot be reached.
        timeout: seconds in which the tracker's whole answer has to come, once it has the event.
        connect_timeout: seconds for connecting to the tracker, or to the proxy; None is as long as ``timeout``.
        proxy: the URL of the proxy, ``http://HOST:PORT`` or ``http://USER:PASSWORD@HOST:PORT``, for everything that is
            sent; None leaves it to the flusher's environment (``HTTPS_PROXY``, ``NO_PROXY`` …).
        ca_bundle: a file (or directory) of the CA certificates to trust; None leaves it to the flusher's environment
            (``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE``, ``SSL_CERT_FILE``), else those of certifi.
        verify: False sends events to whoever answers, whatever certificate is shown: for trying things out.
        all_threads: whether events have the stacks of the other threads too. Where the tracker has a place for
            them (Backtrace) they always do.
        ignore_errors: exceptions that are not reported, subclasses included: classes, or their names (``KeyError``,
            ``shop.errors.CardRefused``). A text of several names has commas or blanks between them.
        sample_rate: the share of events that is kept, 0.0 to 1.0; each one is drawn for itself.
        flood_burst: so many events that are alike (one class raised at one line, messages from one line) a process
            keeps at once; of more, one a second. 0 keeps all. None keeps all while the spool is less than a quarter
            full, then 100 at once; from half on what comes often is left out, and what comes once a minute never is.
        scrub: what is taken out of events before anything else sees them. ``all``: values whose names say that they are
            secret, and what looks like a secret inside texts (see the package ``scrub``); ``names``: only the former,
            texts are let alone; ``off``: nothing.
        scrub_names: more names that say so: whoever contains one of them, in any case. ``-`` and ``_`` are alike.
        keep_names: names that do not, although they contain such a word: whole names (``author``), in any case.
        local_variables: whether the local variables of frames are in events. Where not, they are not even read.
        repr_of: classes, or names of such as in ``ignore_errors``, subclasses included, whose objects are shown by
            their own ``__repr__`` where they are local variables; all others only by class and address. It runs in the
            midst of a capture, whatever it does: query a database, or wait. After 10 ms an event no more are asked.
        context_lines: lines of source that are shown above each frame's own, and as many below it; 0 to 50. The format
            of booboo has no more than 5.
        in_app: modules that are the program's own, with all that is in them (``shop`` has ``shop.cart``), although they
            are installed; by themselves those are that neither are installed nor come with Python.
        not_in_app: modules that are not, likewise; where several names fit a module, the longest one counts.
        before_send: is given each event (``lastword.event.Event``, scrubbed, its own to change) before the disk is
            touched, and returns the event to keep, or None. What it raises, or returns that is no event, costs the
            event, and is counted and said; a value that JSON does not know (a date, a UUID) becomes its text. Runs
            wherever a capture does: keep it short, without locks. It cannot be ``async``.
        log_events: records of ``logging`` of this level and above become events: a name (``ERROR``), a number, or
            ``off``. Exceptions that nobody catches in asyncio come by its logger and are events in any case.
        log_breadcrumbs: those of this level and above become breadcrumbs, likewise; so do warnings that are shown,
            where WARNING does.
        max_spool: bytes that all segments of the spool may have; None is 256 MiB (32 MiB in memory), at most a tenth of
            what the file system has left. Beyond it the oldest events go, and are counted. Programs that share a
            spool share its limits: the most generous one counts, of this and of the next two.
        max_age: seconds for which an event is worth keeping.
        max_set_aside: bytes that are kept of what trackers refused.
        debug: log what would otherwise be said at most once a minute.
    """

    __slots__ = ()

    def __new__(cls, **options: Any) -> Config:
        config = super().__new__(cls, **options)
        config._check()
        return config

    def __repr__(self) -> str:
        dsn = None if self.dsn is None else public_part(self.dsn)
        return f"Config(dsn={dsn!r}, ...)"  # a proxy may have a password

    def _check(self) -> None:
        if self.flusher not in FLUSHER_MODES:
            raise ConfigError(f"flusher={self.flusher!r} is not one of {', '.join(FLUSHER_MODES)}")
        if self.scrub not in SCRUB_MODES:
            raise ConfigError(f"scrub={self.scrub!r} is not one of {', '.join(SCRUB_MODES)}")
        for name in ("timeout", "connect_timeout"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(f"{name}={value!r} is not a positive number of seconds")
        if not 0 <= self.shutdown_timeout < float("inf"):
            raise ConfigError(f"shutdown_timeout={self.shutdown_timeout!r} is less than 0, or has no end")
        if not 0.0 <= self.sample_rate <= 1.0:
            raise ConfigError(f"sample_rate={self.sample_rate!r} is not between 0 and 1")
        if self.flood_burst is not None and self.flood_burst < 0:
            raise ConfigError(f"flood_burst={self.flood_burst!r} is less than 0")
        if not 0 <= self.context_lines <= MAX_CONTEXT_LINES:
            raise ConfigError(f"context_lines={self.context_lines!r} is not between 0 and {MAX_CONTEXT_LINES}")
        for name in ("max_spool", "max_age", "max_set_aside"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise ConfigError(f"{name}={value!r} is less than 0, or has no end")
        if self.proxy is not None:
            _check_proxy(self.proxy)
        if self.ca_bundle is not None and not os.path.exists(self.ca_bundle):
            raise ConfigError(f"ca_bundle={self.ca_bundle!r} is neither a file nor a directory")
        if self.spool is not None:
            _check_spool(self.spool)
        if self.dsn is not None:
            Dsn.parse(self.dsn)

    @property
    def destination(self) -> Optional[Destination]:
        return None if self.dsn is None else self.destination_at(Dsn.parse(self.dsn))

    def destination_at(self, dsn: Dsn) -> Destination:
        """``dsn`` with the options that decide how events get there."""
        return Destination(
            dsn=dsn,
            timeout=self.timeout,
            connect_timeout=self.connect_timeout,
            proxy=self.proxy,
            ca_bundle=self.ca_bundle and os.path.abspath(self.ca_bundle),
            verify=self.verify,
            scrub=self.scrub,
            scrub_names=self.scrub_names,
            keep_names=self.keep_names,
        )

    @classmethod
    def load(cls, options: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Config:
        """Options given by the caller over environment variables over defaults.

        An option of None and an empty variable count as not given. Raises ConfigError for an unknown option and for
        a value that cannot be used.
        """
        known = cls._fields
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise ConfigError(f"unknown option {unknown[0]!r}; the options are {', '.join(known)}")
        chosen: dict[str, Any] = {}
        for name in known:
            read: Callable[[Any, str], Any] = _READERS.get(name, _text)
            variable = f"LASTWORD_{name.upper()}"
            if options.get(name) is not None:
                chosen[name] = _read(options[name], repr(name), read)
            elif environ.get(variable) and name != "before_send":
                chosen[name] = read(environ[variable], variable)
        return cls(**chosen)


def _check_spool(path: str) -> None:
    """Raises ConfigError for what can be the path of no spool, whatever is on the disk.

    What stands there now (a file, what somebody else has planted) stops no program: captures are refused, which is
    counted and said.
    """
    problem = ""
    if not path:
        problem = "is empty"
    elif "\0" in path:
        problem = "has a NUL character in it"
    else:
        try:
            os.lstat(os.path.join(os.path.abspath(path), "n" * _LONGEST_INSIDE))
        except UnicodeEncodeError as error:
            problem = f"is no path here: {error.reason}"
        except failures(OSError) as error:
            if error.errno == errno.ENAMETOOLONG:
                problem = "is too long for a path"
    if problem:
        told = repr(path) if len(path) <= _LONGEST_TOLD else f"{path[:_LONGEST_TOLD]!r}…"
        raise ConfigError(f"spool={told} {problem}; name a directory, which is made where it is missing")


def _read(value: Any, source: str, read: Callable[[Any, str], Any]) -> Any:
    """What an option that the program gives comes to; its own code may run, and raise anything."""
    try:
        return read(value, source)
    except ConfigError:
        raise
    except anything() as error:
        raised = "".join((_name_of(type(error)),))
        raise ConfigError(f"{source} cannot be used: looking at it raised {raised}") from None


def _exact(text: str) -> str:
    """``text`` as Python's own ``str``: methods of a subclass's own would run later."""
    return "".join((text,))


def _check_proxy(url: str) -> None:
    """Raises ConfigError, without the URL, for what is none: it may hold a password."""
    try:
        parts = urlsplit(url[:LONGEST_URL])
        usable = (
            len(url) <= LONGEST_URL
            and parts.scheme in ("http", "https")
            and parts.hostname
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError("proxy is no URL like http://HOST:PORT or http://USER:PASSWORD@HOST:PORT")


def _text(value: Any, source: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{source} is {value!r}, not a text")
    return _exact(value)


def _path(value: Any, source: str) -> str:
    return _text(os.fspath(value) if isinstance(value, os.PathLike) else value, source)


def _secret(value: Any, source: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{source} is a {type(value).__name__}, not a text")
    return _exact(value)


def _number(value: Any, source: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{source} is {value!r}, not a number") from None


def _whole_number(value: Any, source: str) -> int:
    try:
        if int(value) == float(value):
            return int(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ConfigError(f"{source} is {value!r}, not a whole number")


def _switch(value: Any, source: str) -> bool:
    word = str(value).strip().lower()
    if word not in _TRUE + _FALSE:
        raise ConfigError(f"{source} is {value!r}, neither true nor false")
    return word in _TRUE


def _log_level(value: Any, source: str) -> Optional[int]:
    """None is off."""
    word = str(value).strip().upper()
    if word.lower() in _FALSE and word != "0":
        return None
    try:
        return _LOG_LEVELS[word] if word in _LOG_LEVELS else int(word)
    except ValueError:
        names = ", ".join(_LOG_LEVELS)
        raise ConfigError(f"{source} is {value!r}, no level of logging: a number, one of {names}, or off") from None


def _errors(value: Any, source: str) -> tuple[Union[type[BaseException], str], ...]:
    return _listed_classes(value, source, BaseException, "exception classes", "an exception class")


def _classes(value: Any, source: str) -> tuple[Union[type, str], ...]:
    return _listed_classes(value, source, object, "classes", "a class")


def _listed_classes(value: Any, source: str, base: type, several: str, single: str) -> tuple[Any, ...]:
    one_alone = isinstance(value, (type, str))
    if not one_alone and not isinstance(value, Iterable):
        raise ConfigError(f"{source} is {value!r}, neither {several} nor names of such")
    listed: list[Union[type, str]] = []
    for one in [value] if one_alone else value:
        if isinstance(one, type) and issubclass(one, base):
            if gives(one.__repr__) != PLAIN:
                raise ConfigError(f"{source} holds {one!r}, whose __repr__ gives a {gives(one.__repr__)}, not a text")
            listed.append(one)
        elif isinstance(one, str):
            listed += [_dotted_name(name, source, "class") for name in one.replace(",", " ").split()]
        else:
            raise ConfigError(f"{source} holds {one!r}, neither {single} nor the name of one")
    return tuple(listed)


def _modules(value: Any, source: str) -> tuple[str, ...]:
    return tuple(_dotted_name(name, source, "module") for name in _names(value, source))


def _dotted_name(name: str, source: str, what: str) -> str:
    if not all(part.isidentifier() for part in name.split(".")):
        raise ConfigError(f"{source} holds {name!r}, which is no name of a {what}")
    return name


def _names(value: Any, source: str) -> tuple[str, ...]:
    listed = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(listed, Iterable):
        raise ConfigError(f"{source} is {value!r}, not a list of names")
    names = tuple(listed)
    for name in names:
        if not isinstance(name, str) or not name.strip(" -_.") or len(name) > _LONGEST_NAME:
            raise ConfigError(f"{source} holds {name!r:.{_LONGEST_TOLD}}, which is no name")
    return tuple(map(_exact, names))


def _hook(value: Any, source: str) -> Callable[[Any], Any]:
    if not callable(value):
        raise ConfigError(f"{source} is {value!r}, which cannot be called")
    if gives(value) != PLAIN:
        raise ConfigError(f"{source} is {value!r}, which gives a {gives(value)}: it has to return the event, or None")
    return value  # type: ignore[no-any-return]


#: How a value becomes that of its option, where that is no text: each takes the value and the name of its source.
_READERS: dict[str, Callable[[Any, str], Any]] = {
    "dsn": _secret,
    "spool": _path,
    "shutdown_timeout": _number,
    "timeout": _number,
    "connect_timeout": _number,
    "proxy": _secret,
    "ca_bundle": _path,
    "verify": _switch,
    "all_threads": _switch,
    "local_variables": _switch,
    "ignore_errors": _errors,
    "sample_rate": _number,
    "flood_burst": _whole_number,
    "scrub_names": _names,
    "keep_names": _names,
    "repr_of": _classes,
    "context_lines": _whole_number,
    "in_app": _modules,
    "not_in_app": _modules,
    "before_send": _hook,
    "log_events": _log_level,
    "log_breadcrumbs": _log_level,
    "max_spool": _whole_number,
    "max_age": _number,
    "max_set_aside": _whole_number,
    "debug": _switch,
}
