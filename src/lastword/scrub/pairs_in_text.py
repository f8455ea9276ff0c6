"""Secrets in a text that stand behind their name: ``password='x'``, ``?token=x``, ``"api_key": "x"``, ``Cookie: x``.

The name stays. The value is removed up to its closing quote or bracket, else up to the next blank, quote or delimiter;
if the text was cut before that, up to the end. Behind a colon a name counts if it is quoted, contains ``-`` or ``_``,
or is unambiguous (``password: x``): "invalid token: unexpected end" stays unchanged. So do sentences
("--password is required") and measures (``max_tokens=512``).

Separators other than ``=`` and ``:`` are found in ``'--password', 'x'``, ``--password x``, ``('password', 'x')``,
``PASSWORD 'x'``, ``Key (api_token)=(x)`` of PostgreSQL, ``<password>x</password>``, pydantic's ``input_value=``.

Each pattern reads at most a fixed number of characters behind a name, plus those that it removes.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator
from re import Match
from typing import Callable, Optional

from lastword.scrub.names import WORDS, pattern_of
from lastword.scrub.texts import Finder, LatePattern, Span

#: In a sentence these words alone do not show that a value follows.
_EVERYDAY = ("token", "auth", "private", "session", "cookie", "dsn")

#: Headers whose value is the rest of the line.
_WHOLE_LINE = ("authorization", "cookie")

#: Names whose value may be a quoted text behind only a blank, as in SQL.
_BEFORE_QUOTED = ("password", "passwd", "pwd", "apikey", "api_key", "api-key")

_NO_VALUE = ("--no-", "--without-")

_MAX_NAME = 200
_MAX_BEFORE = 100
_MAX_ELEMENT = 8192  # characters in which the end of an XML element is searched for
_NAME_CHARACTERS = string.ascii_letters + string.digits + "_-"

# A lookahead and a backreference: its match is never backtracked, so "tokentokentoken…" is not tried in pieces.
_REST_OF_NAME = r"(?= (?P<rest> [A-Za-z0-9_-]{0,60} ) ) (?P=rest)"

# A quote, escaped once for each text inside a text, or as in HTML and URLs.
QUOTE = r"""(?: \\{0,8}["'`] | \\{1,8}u002[27] | &(?:quot|apos|\#34|\#39|\#x27); | %(?:25){0,3}2[27] )"""

_BETWEEN = rf"""(?:
    (?P<closing> {QUOTE} ) \]? \s{{0,3}}
        (?: (?P<comma> , ) | =>? | [-~]> | → | :{{1,2}}=? | %(?:25){{0,3}}3[aAdD] ) \s{{0,3}}
    | (?: \] | %(?:25){{0,3}}5[dD] )? \s{{0,3}}
        (?: ={{1,3}}>? | :=>? | [-~]> | → | %(?:25){{0,3}}3[dD] | \\{{1,8}}(?:u00|x)3[dD] )
        \s{{0,3}}
    | \s{{0,3}} : \s{{0,3}} [A-Za-z_][\w.\[\]|, ]{{0,60}} \s = \s
    | : \s invalid \s [\w<>. ]{{0,40}} (?: value | choice ) : \s
    | \s{{0,3}} (?P<colon> : (?!:) | :: (?=\s) | %(?:25){{0,3}}3[aA] ) \s{{0,3}}
    | (?P<element> (?: \s{{1,3}} [\w:.-]{{1,60}} \s?=\s? (?: "[^"<>]{{0,200}}" | '[^'<>]{{0,200}}' ) ){{0,8}} \s?
        (?: > | &gt; ) )
    | (?P<cell> [ ]{{0,40}} [|│\t] [ ]{{0,3}} )
    | (?P<gap> [ \t]{{1,3}} (?= [^\s-] ) )
    | (?P<column> [^()\n=]{{0,300}} \){{1,3}} \s?=\s? (?= \( | \[filtered\] ) )
    | (?P<loc> [\w.\[\]]{{0,100}} (?: \n | \\{{1,8}}n ) [ ]{{2,4}} [^\n]{{0,1000}}? input_value= )
    )"""

# The closing quote is escaped as often as the opening one, no more.
QUOTED = rf"""[bBrRuUfF]{{0,2}} (?P<quote> \\{{0,8}} (?: \"{{3}} | '{{3}} ) | {QUOTE} )
    [\s\S]*? (?: (?<!\\) (?P=quote) | \Z )"""
BRACKETED = r"""[\[({] (?:
    (?: [^\[\](){}"'] | "(?:[^"\\]|\\.)*(?:"|\Z) | '(?:[^'\\]|\\.)*(?:'|\Z) )* [\])}]
    | [\s\S]* )"""
_BARE = r"""[^\s&"'<>)\]};,] (?: [^\s&"'<>)\]};,] | [,;] (?! \s | \Z | [A-Za-z0-9_.-]{1,40}= ) )*"""

_BLOCK = r"[|>][-+0-9]{0,2} [ ]* \n (?: [ ]+ [^\n]* (?: \n | \Z ) )+"  # of YAML

#: A value: a text, a block, a list, a call as in reprs (``Login('ann', 'x')``), or everything up to the next delimiter.
VALUE = rf"{QUOTED} | {_BLOCK} | (?: [A-Za-z_][\w.]{{0,100}} )? {BRACKETED} | {_BARE}"

# May contain quoted values, as in headers: ``Digest username="ann", response="x"``.
_REST_OF_LINE = r"""(?: = (?P<inner> \\{0,8} ["'] ) [^"'\\\r\n]* (?: (?P=inner) | \Z ) | [^\r\n\\"'] )+"""
_LIKE_A_KEY = r"(?= [A-Za-z._~+/-]*[0-9] ) (?= [0-9._~+/-]*[A-Za-z] ) [A-Za-z0-9._~+/=-]{8,}"
_OF_COLUMNS = r"\[filtered\] | \( .* \) (?= [ ](?:already|is|conflicts)[ ] | $ ) | .*"
_OF_PYDANTIC = r".*? (?= ,[ ]input_type= ) | .*"

_VALUES = {
    name: LatePattern(pattern, flags | re.VERBOSE)
    for name, pattern, flags in (
        ("value", VALUE, 0),
        ("closed", f"{QUOTED} | (?: [A-Za-z_][\\w.]{{0,100}} )? {BRACKETED} | [0-9]+", 0),
        ("quoted", QUOTED, 0),
        ("line", f"{QUOTED} | {_REST_OF_LINE}", 0),
        ("like a key", _LIKE_A_KEY, 0),
        ("cell", r"[^|│\t\n]+ (?= [ ]* [|│]? \s* $ )", re.MULTILINE),
        ("columns", _OF_COLUMNS, re.MULTILINE),
        ("pydantic", _OF_PYDANTIC, 0),
    )
}

# The word behind a flag, or a colon, in a sentence about it: ``--password is required``, ``password: required``.
_SENTENCE = LatePattern(
    r"""(?: is | was | are | must | may | should | can(?:not|'t)? | has | have | had | needs? | requires? | does
        | doesn't | isn't | wasn't | not | no | and | or | if | when | with(?:out)? | for | to | in | as | instead
        | option | flag
        | argument | parameter | value | required | missing | invalid | expected | empty | wrong | incorrect | expired
        | unknown | unset | denied | ignored | deprecated | optional | too[ ](?:short|long|common|weak) | at[ ]least
        | (?:this[ ])?field ) (?: (?= [\s.,;:!?)\]}"'] ) | \Z )""",
    re.VERBOSE | re.IGNORECASE,
)

# Names of counts and measures, and the numbers that are their values: ``max_tokens=512``.
_MEASURE = LatePattern(
    r"""(?i: tokens \Z | (?: \A | [_-] ) (?: max | min | num | total | count | len | length | limit | size | timeout
        | ttl | age | expir[a-z]* | lifetime | retries | attempts | usage | used ) (?: [_-] | \Z ) )
    | [a-z] (?: Count | Length | Limit | Size | Timeout | Ttl | Age | Expir[a-z]* | Lifetime | Tokens | Usage ) \Z""",
    re.VERBOSE,
)
_SMALL_NUMBER = LatePattern(r"[0-9]{1,9}(?:\.[0-9]{1,9})?(?=[\s,;)\]}&\"']|\.?(?:\s|\Z)|[smhd]\b)")

_OPENS_A_PAIR = LatePattern(
    rf"(?: (?P<bracket> [(\[] ) \s{{0,3}} [bBuUrR]{{0,2}} {QUOTE} [\w.:/]{{0,60}} ) \Z", re.VERBOSE
)
_BEGINS_A_ROW = LatePattern(r"(?: \A | \n | \\n ) [ ]{0,40} [|│]? [ ]{0,3} \Z", re.VERBOSE)
_BEGINS_A_LOGIN = LatePattern(r"\b login \s{1,3} \S{1,60} \s{1,3} \Z", re.VERBOSE)
_OPENS_AN_ELEMENT = LatePattern(r"(?: < | &lt; ) [\w.:]{0,60} \Z", re.VERBOSE)


def pairs_in_text(is_sensitive: Callable[[str], bool], more: Iterable[str]) -> Finder:
    """Return a finder of the values in a text; ``more``: words in addition to lastword's own."""
    word = pattern_of((*WORDS, *more)).replace(" ", r"\ ")
    pair = LatePattern(f"(?i: {word} ) {_REST_OF_NAME} {_BETWEEN}", re.VERBOSE)

    def spans(text: str) -> Iterator[Span]:
        search = pair.compiled().search
        found = search(text)
        while found is not None:
            at = found.end()
            name = _whole_name(text, found)
            # If this is not a pair, its value is not matched: it may be the next name, and a long text.
            end = _end_of_value(text, found, name) if is_sensitive(name) else None
            if end is None:
                if found["gap"] or found["cell"] or found["column"] or found["element"] or found["loc"]:
                    at = found.end("rest")
            else:
                yield Span(at, end, _json_quote(text, found))
                at = end
            found = search(text, at)

    return spans


def _whole_name(text: str, found: Match[str]) -> str:
    before = text[max(0, found.start() - _MAX_NAME) : found.start()]
    return before[len(before.rstrip(_NAME_CHARACTERS)) :] + text[found.start() : found.end("rest")]


def _before(text: str, found: Match[str], name: str) -> str:
    start = found.end("rest") - len(name)
    return text[max(0, start - _MAX_BEFORE) : start]


def _end_of_value(text: str, found: Match[str], name: str) -> Optional[int]:
    """Return the end of the value that begins where ``found`` ends; None if there is no value."""
    if found["element"]:
        return _end_of_element(text, found, name)
    kind = _kind_of_value(text, found, name)
    if kind == "value" and _is_no_value(text, found, name):
        return None
    secret = None if kind is None else _VALUES[kind].compiled().match(text, found.end())
    if secret is None or secret.end() == found.end():
        return None
    # In a list of two the first may be the name of the second; in a longer list all are names.
    in_list = found["comma"] and not name.startswith("-") and _opens_a_pair(text, found, name) == "["
    is_last = text[secret.end() : secret.end() + 3].lstrip()[:1] in ("]", "")
    return secret.end() if is_last or not in_list else None


def _is_no_value(text: str, found: Match[str], name: str) -> bool:
    """Whether the text there is a sentence about the name, or a count or measure of it."""
    if (found["gap"] or found["colon"]) and _SENTENCE.compiled().match(text, found.end()):
        return True
    return bool(_SMALL_NUMBER.compiled().match(text, found.end()) and _MEASURE.compiled().search(name))


def _kind_of_value(text: str, found: Match[str], name: str) -> Optional[str]:
    lowered = name.lower()
    if found["comma"]:
        if name.startswith("-"):
            is_flag = text[found.end() : found.end() + 3].lstrip("b'\"").startswith("-")
            return None if is_flag or lowered.startswith(_NO_VALUE) else "closed"
        return "closed" if _opens_a_pair(text, found, name) else None
    if found["gap"]:
        if name.startswith("-"):
            return None if lowered.startswith(_NO_VALUE) else "value"
        if _BEGINS_A_LOGIN.compiled().search(_before(text, found, name)):
            return "value"
        return "quoted" if lowered.endswith(_BEFORE_QUOTED) else None
    if found["column"]:
        return "columns"
    if found["cell"]:
        return "cell" if _BEGINS_A_ROW.compiled().search(_before(text, found, name)) else None
    if found["loc"]:
        return "pydantic"
    if found["colon"]:
        if lowered.endswith(_WHOLE_LINE):
            return "line"
        if name.startswith("--") and text.startswith("expected ", found.end()):  # of argparse
            return None
        if "-" in name or "_" in name:
            return "value"
        if found["rest"] not in ("", "s"):
            return "like a key" if name.endswith("Key") else None  # else it may be an exception class
        return "like a key" if lowered.rstrip("s").endswith(_EVERYDAY) else "value"
    return "value"


def _opens_a_pair(text: str, found: Match[str], name: str) -> str:
    """Return the bracket before a quoted name; empty if there is none."""
    opening = _OPENS_A_PAIR.compiled().search(_before(text, found, name))
    return opening["bracket"] if opening is not None else ""


def _end_of_element(text: str, found: Match[str], name: str) -> Optional[int]:
    """Return where ``</name>`` stands; where the text was cut, if it was cut before that."""
    at = found.end()
    if _OPENS_AN_ELEMENT.compiled().search(_before(text, found, name)) is None:
        return None
    opening, closing = ("<", ">") if text[at - 1] == ">" else ("&lt;", "&gt;")
    if text[at - 1] == ">" and text[at - 2] == "/":
        return None
    end = text.find(name + closing, at, at + _MAX_ELEMENT)
    if end >= 0:
        end = text.rfind(opening, at, end)
    elif text.endswith(("…", "…'", '…"', "left out)")):
        end = len(text)
    else:
        end = text.find("…", at, at + _MAX_ELEMENT)  # of a text with its middle cut out
    return end if end > at else None


def _json_quote(text: str, found: Match[str]) -> str:
    """Return the quote that the mark needs to be a text in JSON; empty outside of JSON."""
    closing: str = found["closing"] or ""
    if not closing.endswith('"') or text[found.end("closing") : found.end()].strip() != ":":
        return ""
    return closing
