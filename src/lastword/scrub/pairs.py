"""Secrets that stand in a text behind their name: ``password='x'``, ``?token=x``, ``"api_key": "x"``, ``Cookie: x``.

The name stays and the whole value goes, to its closing quote or bracket, else to the next blank, quote or delimiter.
What has lost its end, since the text was cut, goes to the end. Behind a colon a name counts if it is quoted, has ``-``
or ``_`` in it, or can hardly be anything else (``password: x``): "invalid token: unexpected end" stays as it is.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator
from re import Match
from typing import Callable

from lastword.scrub.late_pattern import LatePattern
from lastword.scrub.names import WORDS, pattern_of
from lastword.scrub.texts import Rule, Span

#: In the midst of a sentence these say nothing yet.
_EVERYDAY = ("token", "auth", "private", "session", "cookie", "dsn")

#: Headers whose value is all of the line.
_WHOLE_LINE = ("authorization", "cookie")

_MAX_NAME = 200
_NAME_CHARACTERS = string.ascii_letters + string.digits + "_-"

# In a lookahead and then named: what it took is never given back, so "tokentokentoken…" is not tried in pieces.
_REST_OF_NAME = r"(?= (?P<rest> [A-Za-z0-9_-]{0,60} ) ) (?P=rest)"

_EQUALS_IN_TEXT = r"""(?:
    (?P<closing> \\{0,8}["'] ) \]? \s{0,3} (?: (?P<comma> , ) | =>? | : )
    | (?: \] | %5[dD] )? \s{0,3} (?: ={1,3}>? | %3[dD] )
    | \s{0,3} (?P<colon> : )
    ) \s{0,3}"""
_EQUALS_IN_SOURCE = r"""(?:
    (?P<closing> ["'] ) \]? \s{0,3} (?: (?P<comma> , ) | ={1,2} | : )
    | \s{0,3} (?: : [^=\n"'\#]{0,80} )? [!=]?=
    ) [\s(]{0,40}"""

# Quotes may be escaped, once for each text inside a text; the closing one is escaped as often, no more.
_QUOTED = r"""[bBrRuUfF]{0,2} (?P<quote> \\{0,8} (?: \"{3} | '{3} | ["'] ) )
    [\s\S]*? (?: (?<!\\) (?P=quote) | \Z )"""
_BRACKETED = r"""[\[({] (?:
    (?: [^\[\](){}"'] | "(?:[^"\\]|\\.)*(?:"|\Z) | '(?:[^'\\]|\\.)*(?:'|\Z) )* [\])}]
    | [\s\S]* )"""
_BARE = r"""[^\s&"'<>)\]};,] (?: [^\s&"'<>)\]};,] | [,;] (?! \s | \Z | [A-Za-z0-9_.-]{1,40}= ) )*"""

_REST_OF_LINE = r"""[^\r\n\\"']+"""


def pairs_in_text(is_sensitive: Callable[[str], bool], more: Iterable[str]) -> Rule:
    """The rule for texts; ``more``: words beside lastword's own."""
    return _rule(is_sensitive, more, _EQUALS_IN_TEXT, f"{_QUOTED} | {_BRACKETED} | {_BARE}")


def pairs_in_source(is_sensitive: Callable[[str], bool], more: Iterable[str]) -> Rule:
    """The rule for lines of Python: ``password = form["password"]`` shows how it came about, only literals go."""
    return _rule(is_sensitive, more, _EQUALS_IN_SOURCE, _QUOTED)


def _rule(is_sensitive: Callable[[str], bool], more: Iterable[str], equals: str, value: str) -> Rule:
    words = (*WORDS, *more)
    name = pattern_of(words).replace(" ", r"\ ")
    pair = LatePattern(f"(?i: {name} ) {_REST_OF_NAME} {equals}", re.VERBOSE)
    any_value, quoted, line = (
        LatePattern(pattern, re.VERBOSE) for pattern in (value, _QUOTED, f"{_QUOTED} | {_REST_OF_LINE}")
    )

    def spans(text: str) -> Iterator[Span]:
        search = pair.compiled().search
        found = search(text)
        while found is not None:
            at = found.end()
            name = _whole_name(text, found)
            # Where it is no pair, its value is not even looked for: it may be the next name, and a long text.
            if _is_pair(text, found, name) and is_sensitive(name):
                groups = found.groupdict()
                expected = quoted if groups["comma"] else any_value
                if groups.get("colon") and name.lower().endswith(_WHOLE_LINE):
                    expected = line
                secret = expected.compiled().match(text, at)
                if secret is not None:
                    at = secret.end()
                    yield secret.span()
            found = search(text, at)

    return Rule(words, spans)


def _whole_name(text: str, found: Match[str]) -> str:
    before = text[max(0, found.start() - _MAX_NAME) : found.start()]
    return before[len(before.rstrip(_NAME_CHARACTERS)) :] + text[found.start() : found.end("rest")]


def _is_pair(text: str, found: Match[str], name: str) -> bool:
    groups = found.groupdict()
    if groups["comma"]:  # a list of names has no pairs, but ``('password', 'x')`` is one
        opening = found.end("rest") - len(name) - len(found["closing"])
        return text[max(0, opening - 2) : opening].rstrip("bBuU").endswith("(")
    if groups.get("colon"):
        lowered = name.lower()
        if "-" in name or "_" in name or lowered.endswith(_WHOLE_LINE):
            return True
        return found["rest"] in ("", "s") and not lowered.rstrip("s").endswith(_EVERYDAY)
    return True
