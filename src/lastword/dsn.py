"""The DSN, which says where events go, and the destination, which adds how they get there."""

from __future__ import annotations

import json
import re
import sys
from binascii import b2a_base64
from typing import Any, Callable, NamedTuple, Optional, Union
from urllib.parse import SplitResult, parse_qs, unquote, unquote_plus, urlencode, urlsplit

from lastword import checked
from lastword.errors import ConfigError
from lastword.foreign_text import LEAST_SECRET, MOST_QUOTED, one_line, without_secrets

try:
    from _sha2 import sha256  # type: ignore[import-not-found]
except ImportError:
    try:
        from _sha256 import sha256  # type: ignore[import-not-found] # its name before 3.12
    except ImportError:  # the last choice, because hashlib loads OpenSSL first
        from hashlib import sha256

ACCEPTED_DSNS = (
    "backtrace+https://submit.backtrace.io/UNIVERSE/TOKEN/json or backtrace+https://HOST:PORT?token=TOKEN",
    "booboo+https://TOKEN@HOST/org/project",
    "sentry+https://KEY@HOST/PROJECT",
)

#: The host whose URLs have the token in their path.
_BY_PATH = "submit.backtrace.io"

#: Characters of a URL: with a longer one the destination's file could not be read back.
LONGEST_URL = 4096

_KNOWN_HOSTS = {"backtrace.io": "backtrace", "booboo.dev": "booboo", "sentry.io": "sentry"}


# The parts of a URL that are certainly not secret. A host name without a dot may be a token in the wrong place.
_NO_SECRET = r"""(?P<format> (?: (?:backtrace|booboo|sentry) \+ )? https?:// )
    (?: (?P<user> [^@/?\#]{0,1000} @ )? (?P<host> (?:
            (?:[a-z0-9_-]{1,63}\.){1,10} [a-z]{2,24} | localhost | [0-9]{1,3}(?:\.[0-9]{1,3}){3} | \[[0-9a-f:.]{2,45}\]
        ) (?: :[0-9]{1,5} )? ) (?P<rest> [/?\#] [^@]* )? \Z )?"""
_HIDDEN = "***"

#: A host name in any alphabet, or an address (IPv6 with its zone), as returned by ``urlsplit``.
_HOST = re.compile(r"[\w.-]+|[0-9a-f.]*:[0-9a-f:.]+(%[\w.-]+)?")


def public_part(dsn: str) -> str:
    """Return the part of a DSN or URL, however malformed, that may be shown.

    Wire format, scheme and host stay where it is certain that they are no secret; ``***`` replaces everything else.
    """
    found = re.match(_NO_SECRET, dsn, re.VERBOSE | re.IGNORECASE)
    if found is None:
        return _HIDDEN if dsn else dsn
    format, user, host, rest = found.group("format", "user", "host", "rest")
    if host is None or _may_hold_a_token(format.lower(), user, host.lower(), rest):
        return format + _HIDDEN
    return format + (f"{_HIDDEN}@" if user else "") + host + (f"{rest[0]}{_HIDDEN}" if rest else "")


def _may_hold_a_token(format: str, user: Optional[str], host: str, rest: Optional[str]) -> bool:
    """Return whether the host may hold the token: there is no ``@``, or a part of the rest is repeated in it."""
    if user is None and _may_begin_with_a_token(format, host):
        return True
    elsewhere = re.split("[:@/?&=#]", f"{user or ''}{rest or ''}".lower())
    return any(len(piece) >= LEAST_SECRET and piece in host for piece in elsewhere)


def _may_begin_with_a_token(format: str, host: str) -> bool:
    """Return whether ``host``, in a DSN without ``@``, may begin with the token because the ``@`` was forgotten.

    Backtrace DSNs have the token elsewhere, and an IP address or ``localhost`` is no token.
    """
    name = host.rpartition(":")[0] or host
    if format.startswith("backtrace+") or f".{name}".endswith(".backtrace.io"):
        return False
    return not (name == "localhost" or name.startswith("[") or name.replace(".", "").isdigit())


def _dsn_error(dsn: str, problem: str) -> ConfigError:
    forms = "".join(f"\n  {form}" for form in ACCEPTED_DSNS)
    return ConfigError(f"the DSN {public_part(dsn)!r} cannot be used: {problem}. A DSN is one of{forms}")


class Dsn(NamedTuple):
    """Where events go: the wire format, the URL to post to, and the token if it is not part of that URL (else '')."""

    wire: str
    url: str
    token: str

    @property
    def place(self) -> str:
        """The wire format and the address, without the token, for messages."""
        parts = urlsplit(self.url)
        host = without_secrets(_host_and_port(parts), self.secrets)  # in case the token was pasted there as well
        return one_line(f"{self.wire} at {parts.scheme}://{host}", MOST_QUOTED)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The token, plain and as encoded in the URL."""
        parts = urlsplit(self.url)
        values = [piece.partition("=")[2] for piece in parts.query.split("&") if not piece.startswith("format=")]
        if parts.hostname == _BY_PATH:
            values += [piece for piece in parts.path.split("/") if piece][1:2]
        return tuple({text: None for value in (self.token, *values) if value for text in (value, unquote_plus(value))})

    @property
    def tracker(self) -> tuple[object, ...]:
        """Wire format, scheme, host and port: equal for all DSNs of one tracker, with any token and project."""
        parts = urlsplit(self.url)
        return self.wire, parts.scheme, parts.hostname, parts.port

    def __repr__(self) -> str:
        return f"Dsn({self.place})"

    @classmethod
    def parse(cls, dsn: str) -> Dsn:
        """Read a DSN.

        Raises ConfigError for an unknown scheme, a missing token or host, an invalid port, and for the sentry format,
        which this version does not have. The message names the public part of the DSN and the accepted forms.
        """
        # Raised only here, so that a traceback with local variables shows the token under no name but `dsn`.
        found = _read(dsn.strip())
        if isinstance(found, str):
            raise _dsn_error(dsn.strip(), found)
        return found


def _read(dsn: str) -> Union[Dsn, str]:
    """Return the DSN, or a text that says what is wrong with it and quotes no part of it."""
    if len(dsn) > LONGEST_URL:
        return f"it has more than {LONGEST_URL} characters"
    prefix, plus, rest = dsn.partition("+")
    has_prefix = bool(plus) and "://" in rest and "://" not in prefix
    parts = _split(rest if has_prefix else dsn)
    if isinstance(parts, str):
        return parts
    if parts.scheme not in ("http", "https"):
        return "its scheme is not http or https"
    wire = prefix.lower() if has_prefix else _wire_of_host(parts.hostname or "")
    if wire not in _PARSERS:
        known = "it begins with no known format" if has_prefix else "its host is none whose format is known"
        return f"{known}, so it needs the prefix backtrace+, booboo+ or sentry+"
    if not parts.hostname:
        return "it names no host"
    address = _PARSERS[wire](parts)
    return address if isinstance(address, str) else Dsn(wire, *address)


def _split(url: str) -> Union[SplitResult, str]:
    """Return the parts of a URL, or a text that says what is wrong with it: the errors of ``urllib`` quote the URL."""
    if not url.isprintable():
        return "it holds characters that no URL can have"
    try:
        parts = urlsplit(url)
    except ValueError:
        return "its host is none (see brackets)"
    try:
        _ = parts.port
    except ValueError:
        return "its port is no number from 0 to 65535"
    if parts.hostname and not _HOST.fullmatch(parts.hostname):
        return "its host holds characters that no host name has"
    return parts


def _wire_of_host(host: str) -> str:
    return next((wire for domain, wire in _KNOWN_HOSTS.items() if f".{host}".endswith(f".{domain}")), "")


def _host_and_port(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _parse_backtrace(parts: SplitResult) -> Union[tuple[str, str], str]:
    """Apply the URL rule of ``backtracepython``, but accept a trailing slash."""
    origin = f"{parts.scheme.lower()}://{_host_and_port(parts)}"
    host = parts.hostname or ""
    if host == _BY_PATH:
        path = [piece for piece in parts.path.split("/") if piece]
        if len(path) < 2:
            return "its path is not /UNIVERSE/TOKEN/json"
        return f"{origin}{parts.path}" + (f"?{parts.query}" if parts.query else ""), ""
    tokens = parse_qs(parts.query).get("token", [])
    if not tokens:
        return "it has no token (?token=TOKEN)"
    return f"{origin}{parts.path.rstrip('/')}/post?" + urlencode({"token": tokens[0], "format": "json"}), ""


def _parse_booboo(parts: SplitResult) -> Union[tuple[str, str], str]:
    """Use only the origin and the token: ``booboo-sdk`` ignores path and query too."""
    token = unquote(parts.username or "")
    if not token:
        return "it has no token (TOKEN@ before the host)"
    if not all(" " < character <= "\xff" and character != "\x7f" for character in token):
        return "its token holds characters that cannot be sent in an HTTP header"
    return f"{parts.scheme.lower()}://{_host_and_port(parts)}/", token


def _parse_sentry(parts: SplitResult) -> Union[tuple[str, str], str]:
    return "the sentry format is not there yet in this version of lastword; backtrace and booboo are"


_PARSERS: dict[str, Callable[[SplitResult], Union[tuple[str, str], str]]] = {
    "backtrace": _parse_backtrace,
    "booboo": _parse_booboo,
    "sentry": _parse_sentry,
}


def secrets_of_proxy(url: str) -> tuple[str, ...]:
    """Return the password in a proxy's URL, plain and as sent; without a password, the user, which may be a secret."""
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
    except ValueError:  # from the environment: it is tried all the same
        return (url,)
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    if not user and not password:
        return ()
    secret = password or user
    sent = f"{unquote(user)}:{unquote(password)}".encode("utf-8", "replace")
    return (secret, unquote(secret), b2a_base64(sent, newline=False).decode("ascii"))


def _text(value: object) -> str:
    return checked.text(value, _LONGEST)


def _all_texts(value: object) -> tuple[str, ...]:
    return tuple(map(_text, checked.items(value)))


def _wait(value: object) -> float:
    return float(checked.number(value, 0, sys.float_info.max))


def _dsn(value: object) -> Dsn:
    parts = checked.mapping(value)
    if parts.keys() - set(Dsn._fields):
        raise ValueError("it has parts that are not known to this version")
    dsn = Dsn(_text(parts.get("wire")), _text(parts.get("url")), _text(parts.get("token")))
    _ = dsn.tracker  # raises ValueError for a URL that cannot be parsed
    return dsn


#: Characters of a text in the file of a destination.
_LONGEST = 65536

#: How each part of a destination's file is read, except its DSN.
_OPTIONS: dict[str, Callable[[object], Any]] = {
    **dict.fromkeys(("proxy", "ca_bundle", "scrub"), _text),
    **dict.fromkeys(("scrub_names", "keep_names"), _all_texts),
    **dict.fromkeys(("timeout", "connect_timeout"), _wait),
    "verify": checked.flag,
}


class _DestinationOptions(NamedTuple):
    dsn: Dsn
    timeout: float
    connect_timeout: Optional[float] = None
    proxy: Optional[str] = None
    ca_bundle: Optional[str] = None
    verify: bool = True
    scrub: str = "all"
    scrub_names: tuple[str, ...] = ()
    keep_names: tuple[str, ...] = ()


class Destination(_DestinationOptions):
    """A DSN with the options for sending to it and for scrubbing events that are made on the way.

    It is written to the spool as a file named after its own content, so that the flusher has the settings of the
    process that captured the event. Fields are those of ``Config``; ``ca_bundle`` is an absolute path.
    """

    @property
    def key(self) -> str:
        """Its name in records: the first 12 hex digits of the SHA-256 of the file's content."""
        known: Optional[str] = self.__dict__.get("key")
        if known is None:
            # Each capture reads it. Not functools.cached_property, which takes a lock at its first use.
            known = self.__dict__["key"] = sha256(self.encode()).hexdigest()[:12]
        return known

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts to remove wherever an answer of this destination is quoted."""
        return self.dsn.secrets + secrets_of_proxy(self.proxy or "")

    def with_options(self, **options: Any) -> Destination:
        """Return a copy with these options changed."""
        return Destination(**{**self._asdict(), **options})

    def __repr__(self) -> str:
        return f"Destination({self.dsn!r}, ...)"  # a proxy may have a password

    def encode(self) -> bytes:
        """Return the file's content, without default values: a file that is older than an option keeps its key."""
        given = {name: value for name, value in self._asdict().items() if value != self._field_defaults.get(name, self)}
        given["dsn"] = self.dsn._asdict()
        return json.dumps(given, sort_keys=True).encode()

    @classmethod
    def decode(cls, content: bytes) -> Destination:
        """Read a destination file; raises ConfigError if it is not valid."""
        try:
            given = {"timeout": None, **checked.mapping(checked.json_value(content))}
            options = {name: read(given[name]) for name, read in _OPTIONS.items() if name in given}
            return cls(dsn=_dsn(given.get("dsn")), **options)
        except (ValueError, RecursionError) as error:
            trouble = type(error).__name__  # the error and its text may repeat all of the content, including the token
        raise ConfigError(f"not a destination ({trouble})")
