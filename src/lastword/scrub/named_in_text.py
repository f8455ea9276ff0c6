"""Secrets in a text that stand beside their name: ``{"name": "password", "value": "x"}``, and similar forms.

These are reprs (``Header(name='X-Api-Key', value='x')``), XML (``<property name="password" value="x"/>``,
``<entry key="password">x</entry>``, ``<key>password</key><string>x</string>``), YAML, parts of forms, errors of
pydantic, SQL with columns and values, MySQL's ``Duplicate entry``. Each pattern reads a fixed number of characters
around a name, plus those that it removes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from re import Match
from typing import Callable, Optional

from lastword.named_values import KIND, NAME_KEYS, VALUE_KEYS
from lastword.scrub.pairs_in_text import BRACKETED, QUOTE, VALUE
from lastword.scrub.texts import Finder, LatePattern, Span

_WINDOW = 300

# A name, as the value of a key that holds names; pydantic gives the path to it.
_NAMED = LatePattern(
    rf"""(?<![A-Za-z0-9_]) (?i: {NAME_KEYS} ) (?: {QUOTE} )? \s{{0,3}} [:=] \s{{0,3}}
    (?: [(\[] (?: ["']?[\w.-]{{1,60}}["']?,\s? ){{0,6}} )? b? (?: {QUOTE} )? (?P<name> [A-Za-z0-9_.:/-]{{3,100}} )
    | < (?i: {NAME_KEYS} ) > \s{{0,3}} (?P<content> [A-Za-z0-9_.:/-]{{3,100}} ) \s{{0,3}} (?= </ )""",
    re.VERBOSE,
)
_VALUE_KEY = rf"(?<![A-Za-z_]) (?i: {VALUE_KEYS} ) (?: {QUOTE} )? \s{{0,3}} (?: => | [:=] ) \s{{0,3}}"
_KEY_BEHIND = LatePattern(rf"[^{{}}<>]{{0,{_WINDOW}}}? {_VALUE_KEY}", re.VERBOSE)
_KEY = LatePattern(_VALUE_KEY, re.VERBOSE)
_VALUE = LatePattern(VALUE, re.VERBOSE)

_LINE_END = r"(?: \r\n | \n | \\r\\n | \\n )"
_OTHER_FORMS = LatePattern(
    rf"""["']? (?: [^\r\n\\]{{0,200}} {_LINE_END} ){{1,4}}? {_LINE_END} (?P<part> [\s\S]+? ) (?= {_LINE_END} -- | \Z )
    | [^<>{{}}]{{0,200}} (?<!/) > (?P<content> [^<]+ )
    | </ [^<>]{{1,80}} > \s{{0,20}} (?: < [^<>/]{{1,80}} > \s{{0,5}} ){{1,3}} (?P<next> [^<]+ )""",
    re.VERBOSE,
)

_INSERT = LatePattern(
    rf"""(?i: (?: insert | replace ) \s+ into ) \s [^()]{{1,200}} \( (?P<names> [^()]{{1,1000}} ) \) \s{{0,20}}
    (?i: values ) \s{{0,20}} (?P<secret> {BRACKETED} )
    | Duplicate[ ]entry[ ] (?P<entry> '[^\n]{{0,500}}?' ) [ ]for[ ]key[ ]' (?P<key> [\w.-]{{1,100}} ) '""",
    re.VERBOSE,
)
_PARAMETERS = LatePattern(r"\[parameters:[ ] (?P<secret> (?!\[filtered) [\[(] .* )", re.VERBOSE)
# Selected columns and the names of tables.
_NO_PARAMETERS = LatePattern(
    r"""\bselect\b[\s\S]{0,3000}?\bfrom\b|\b(?:into|update|from|join)\s{1,5}[\w."`]{1,100}|[\w"`]{1,60}\.""",
    re.IGNORECASE,
)
_MOST_STATEMENTS = 20  # are checked; all parameters of later ones are removed
_STATEMENT = 4000  # characters before the parameters in which their statement is searched for

# Each text that the patterns match contains one of these in lower case; the patterns take a hundred times as long.
_BEGIN_NAME_KEYS = ("name", "key", "loc", *(kind.partition("(")[0] for kind in KIND.split("|")))
_BEGIN_STATEMENTS = (" into ", "duplicate entry", "\ninto ")


def values_beside_names(is_sensitive: Callable[[str], bool]) -> Finder:
    """Return a finder of the values of objects with a sensitive name and a value."""

    def spans(text: str) -> Iterator[Span]:
        kept_to = 0
        if not _has_any(text, _BEGIN_NAME_KEYS):
            return
        for found in _NAMED.compiled().finditer(text):
            if found.start() >= kept_to and is_sensitive(found["name"] or found["content"]):
                span = _behind(text, found) or _before(text, found, kept_to)
                if span is not None:
                    yield span
                    kept_to = span.end

    return spans


def _behind(text: str, found: Match[str]) -> Optional[Span]:
    at = found.end()
    key = _KEY_BEHIND.compiled().match(text, at) if found["name"] else None
    if key is not None:
        return _span_of_value(text, key.end(), len(text))
    other = _OTHER_FORMS.compiled().match(text, at)
    return Span(*other.span(other.lastgroup or 0)) if other is not None else None


def _before(text: str, found: Match[str], kept_to: int) -> Optional[Span]:
    start = found.start()
    last = None
    for key in _KEY.compiled().finditer(text, max(kept_to, start - _WINDOW), start):
        last = key
    span = _span_of_value(text, last.end(), start) if last is not None else None
    if span is None or re.search("[{}<>]", text[span.end : start]):
        return None
    return span


def _span_of_value(text: str, at: int, end: int) -> Optional[Span]:
    value = _VALUE.compiled().match(text, at, end)
    if value is None:
        return None
    quote = text[at - 4 : at].rpartition('"')
    is_json = quote[1] and quote[2].strip() == ":"
    return Span(*value.span(), '"' if is_json and not quote[0].endswith("\\") else "")


def values_of_columns(is_sensitive: Callable[[str], bool]) -> Finder:
    """Return a finder of the values of SQL statements; one column with a sensitive name removes all values."""

    def spans(text: str) -> Iterator[Span]:
        if not _has_any(text, _BEGIN_STATEMENTS):
            return
        for found in _INSERT.compiled().finditer(text):
            if is_sensitive(found["names"] or found["key"]):
                yield Span(*found.span("secret" if found["names"] else "entry"))

    return spans


def parameters_of_statements(is_sensitive: Callable[[str], bool]) -> Finder:
    """Return a finder of the parameters that SQLAlchemy shows behind a statement with a sensitive name."""

    def spans(text: str) -> Iterator[Span]:
        if "[parameters: " not in text:
            return
        for number, found in enumerate(_PARAMETERS.compiled().finditer(text)):
            start = text.rfind("[SQL:", max(0, found.start() - _STATEMENT), found.start())
            if number >= _MOST_STATEMENTS or (
                start >= 0 and is_sensitive(_NO_PARAMETERS.compiled().sub("", text[start : found.start()]))
            ):
                yield Span(found.start("secret"), found.end() - text.endswith("]", 0, found.end()))

    return spans


def _has_any(text: str, words: tuple[str, ...]) -> bool:
    lowered = text.lower()
    return any(word in lowered for word in words)
