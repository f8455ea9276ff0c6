"""Read and check the values of options. All functions raise only ConfigError."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from typing import Any, Callable, NamedTuple, Optional, Union
from urllib.parse import urlsplit

from lastword.callables import PLAIN, gives
from lastword.dsn import LONGEST_URL, Dsn
from lastword.errors import ConfigError
from lastword.interruption import anything, failures

_LONGEST_NAME = 1000

#: Characters: the longest path of a file inside a spool, and the longest spool path that is shown whole.
_LONGEST_INSIDE, _LONGEST_SHOWN = 120, 200

_name_of = type.__dict__["__name__"].__get__

_LOG_LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")

#: Takes the given value and the name of its source; returns the option's value.
Read = Callable[[Any, str], Any]

#: Takes the option's name and its value, which is not None.
Check = Callable[[str, Any], None]


class Option(NamedTuple):
    """One option, beside its type and default.

    Attributes:
        read: converts the given value into the option's.
        meaning: its description in the README's reference, one sentence.
        check: raises ConfigError for an unusable value; None accepts any.
        shown: the default as the reference shows it; "" shows the value itself.
        has_variable: whether an environment variable can set it.
    """

    read: Read
    meaning: str
    check: Optional[Check] = None
    shown: str = ""
    has_variable: bool = True


def guarded(read: Read, value: Any, source: str) -> Any:
    """Read an option given by the program, whose own code may run and raise anything."""
    try:
        return read(value, source)
    except ConfigError:
        raise
    except anything() as error:
        raised = "".join((_name_of(type(error)),))
        raise ConfigError(f"{source} cannot be used: looking at it raised {raised}") from None


def _exact(text: str) -> str:
    """Return ``text`` as a plain ``str``: methods of a subclass would run later."""
    return "".join((text,))


def a_text(value: Any, source: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{source} is {value!r}, not a text")
    return _exact(value)


def a_path(value: Any, source: str) -> str:
    return a_text(os.fspath(value) if isinstance(value, os.PathLike) else value, source)


def a_secret(value: Any, source: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{source} is a {type(value).__name__}, not a text")
    return _exact(value)


def a_number(value: Any, source: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{source} is {value!r}, not a number") from None


def a_whole_number(value: Any, source: str) -> int:
    try:
        if int(value) == float(value):
            return int(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ConfigError(f"{source} is {value!r}, not a whole number")


def a_switch(value: Any, source: str) -> bool:
    word = str(value).strip().lower()
    if word not in _TRUE + _FALSE:
        raise ConfigError(f"{source} is {value!r}, neither true nor false")
    return word in _TRUE


def a_log_level(value: Any, source: str) -> Optional[int]:
    """Return the level as a number; None for off."""
    word = str(value).strip().upper()
    if word.lower() in _FALSE and word != "0":
        return None
    try:
        return _LOG_LEVELS[word] if word in _LOG_LEVELS else int(word)
    except ValueError:
        names = ", ".join(_LOG_LEVELS)
        raise ConfigError(f"{source} is {value!r}, no level of logging: a number, one of {names}, or off") from None


def error_classes(value: Any, source: str) -> tuple[Union[type[BaseException], str], ...]:
    return _listed_classes(value, source, BaseException, "exception classes", "an exception class")


def classes(value: Any, source: str) -> tuple[Union[type, str], ...]:
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


def modules(value: Any, source: str) -> tuple[str, ...]:
    return tuple(_dotted_name(name, source, "module") for name in names(value, source))


def _dotted_name(name: str, source: str, what: str) -> str:
    if not all(part.isidentifier() for part in name.split(".")):
        raise ConfigError(f"{source} holds {name!r}, which is no name of a {what}")
    return name


def names(value: Any, source: str) -> tuple[str, ...]:
    listed = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(listed, Iterable):
        raise ConfigError(f"{source} is {value!r}, not a list of names")
    names = tuple(listed)
    for name in names:
        if not isinstance(name, str) or not name.strip(" -_.") or len(name) > _LONGEST_NAME:
            raise ConfigError(f"{source} holds {name!r:.{_LONGEST_SHOWN}}, which is no name")
    return tuple(map(_exact, names))


def a_hook(value: Any, source: str) -> Callable[[Any], Any]:
    if not callable(value):
        raise ConfigError(f"{source} is {value!r}, which cannot be called")
    if gives(value) != PLAIN:
        raise ConfigError(f"{source} is {value!r}, which gives a {gives(value)}: it has to return the event, or None")
    return value  # type: ignore[no-any-return]


def one_of(*words: str) -> Check:
    def check(name: str, value: str) -> None:
        if value not in words:
            raise ConfigError(f"{name}={value!r} is not one of {', '.join(words)}")

    return check


def between(least: int, most: int) -> Check:
    def check(name: str, value: float) -> None:
        if not least <= value <= most:
            raise ConfigError(f"{name}={value!r} is not between {least} and {most}")

    return check


def not_below_0(name: str, value: float) -> None:
    if not 0 <= value < float("inf"):
        raise ConfigError(f"{name}={value!r} is less than 0, or has no end")


def more_than_0(name: str, value: float) -> None:
    if not 0 < value < float("inf"):
        raise ConfigError(f"{name}={value!r} is not a positive number of seconds")


def something_there(name: str, path: str) -> None:
    if not os.path.exists(path):
        raise ConfigError(f"{name}={path!r} is neither a file nor a directory")


def a_dsn(name: str, text: str) -> None:
    Dsn.parse(text)


def a_proxy(name: str, url: str) -> None:
    """Raise ConfigError for an invalid URL, without quoting it: it may hold a password."""
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
        raise ConfigError(f"{name} is no URL like http://HOST:PORT or http://USER:PASSWORD@HOST:PORT")


def a_possible_spool(name: str, path: str) -> None:
    """Raise ConfigError for a path that can never be a spool's, whatever is on the disk.

    An obstacle that is there now (a file, something planted by another user) raises nothing: captures are refused,
    counted and noted.
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
        shown = repr(path) if len(path) <= _LONGEST_SHOWN else f"{path[:_LONGEST_SHOWN]!r}…"
        raise ConfigError(f"{name}={shown} {problem}; name a directory, which is made where it is missing")
