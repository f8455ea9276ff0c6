"""Passwords passed to a command behind a short flag, for the commands whose flag takes one: ``curl -u ann:x``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from re import Match
from typing import NamedTuple, Optional

from lastword.scrub.texts import LatePattern, Span


class _Command(NamedTuple):
    """How a command takes its password.

    Attributes:
        word: part of its name, or one of its arguments.
        flags: the flags that take the password.
        glued: whether it may follow the flag directly (``-px``).
        apart: whether it may be the next argument.
        named: whether a user name and a colon precede it.
    """

    word: str
    flags: tuple[str, ...]
    glued: bool
    apart: bool
    named: bool = False


_COMMANDS = (
    _Command("curl", ("-u", "-U", "--user", "--proxy-user"), glued=True, apart=True, named=True),
    _Command("mysql", ("-p",), glued=True, apart=False),  # the next argument is a database
    _Command("mariadb", ("-p",), glued=True, apart=False),
    _Command("sshpass", ("-p",), glued=True, apart=True),
    _Command("mongo", ("-p",), glued=True, apart=True),
    _Command("sqlcmd", ("-P",), glued=True, apart=True),
    _Command("ldap", ("-w",), glued=True, apart=True),
    _Command("redis-cli", ("-a", "--pass"), glued=False, apart=True),
    _Command("login", ("-p",), glued=False, apart=True),  # docker, podman, oc
)

_WINDOW = 500  # characters before a flag in which its command is searched for

#: The character behind the ``-`` of one of these flags.
A_FLAG = r"""[apPuUw-](?<=[\s'"]-.)"""

# A shell variable or a format placeholder is not a password.
_NO_PLACEHOLDER = r"(?! \$\{?[A-Za-z_(] | \{ | %[s(] | < | \*\*\* | \[filtered\] )"
_BARE = r"""(?: [^\s'"\\] | \\ (?! ['"] ) )+"""

_FLAG = LatePattern(
    rf"""(?<=[\s'"]) (?P<flag> --(?:user|proxy-user|pass)(?![\w-]) | -[apPuUw] )
    (?P<gap> = | \s{{1,3}} | \\{{0,4}}['"],?\s{{0,3}}b?(?=\\{{0,4}}['"]) )? (?(gap) (?! - ) )
    (?: (?P<quote> \\{{0,4}}['"] ) (?(gap) | (?! [\s+,)\]] ) ) (?P<quoted_user> [^\s:'"]{{0,100}}: )? {_NO_PLACEHOLDER}
            (?P<quoted> (?: (?! (?P=quote) ) [^\n] )+ )
        | (?P<user> [^\s:'"\\]{{0,100}}: )? {_NO_PLACEHOLDER} (?P<bare> {_BARE} ) )""",
    re.VERBOSE,
)


def passwords_of_commands(text: str) -> Iterator[Span]:
    """Yield where passwords are; the command stands in the 500 characters before its flag."""
    known = [command for command in _COMMANDS if command.word in text]
    search = _FLAG.compiled().search
    found = search(text) if known else None
    while found is not None:
        start = _start_of_password(text, found, known)
        if start is not None:
            yield Span(start, found.end())
        found = search(text, found.end("flag") if start is None else found.end())


def _start_of_password(text: str, found: Match[str], known: list[_Command]) -> Optional[int]:
    """Return where the password starts; None if no command takes one with this flag."""
    at = found.start()
    for command in known:
        fits = found["flag"] in command.flags and (command.apart if found["gap"] else command.glued)
        if fits and text.rfind(command.word, max(0, at - _WINDOW), at) >= 0:
            user = found["quoted_user"] or found["user"] or ""
            password = found.end() - len(found["quoted"] or found["bare"])
            if user or not command.named:
                return password if command.named else password - len(user)
    return None
