"""Secrets in lines of Python source: every literal that is assigned to, passed to or compared with a secret name.

``password = form["password"]`` shows where a secret came from, and stays; only literals are removed. The position of
the name decides which ones:

* the target of an assignment: all literals behind the ``=``;
* a keyword, a parameter or the key of a dict: all up to the next comma of that bracket, or its end;
* a literal with the name, and a comma behind it (``getenv("PASSWORD", "x")``, ``["--password", "x"]``): the next one;
* a name in a comparison: all between the commas, ``and`` and ``or`` around it;
* a function, or the object of a method (``set_password("x")``, ``TOKENS.append("x")``): all its arguments. Exceptions
  that are raised are exempt, because the event has their text; so are methods of a session
  (``session.get("https://…")``).

A literal that is the name being looked up (``os.environ["API_KEY"]``) stays. The other literals, and comments, are
scanned as texts. The lines are an excerpt, so a statement may have lost its beginning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Callable, NamedTuple

from lastword.scrub.texts import Finder, LatePattern, Span

_TOKEN = LatePattern(
    r"""(?P<text> [bBrRuUfFtT]{0,2} (?:
          \"{3} (?: [^\\] | \\[\s\S] )*? (?: \"{3} | \\?\Z ) | '{3} (?: [^\\] | \\[\s\S] )*? (?: '{3} | \\?\Z )
        | "(?: [^"\\\n] | \\[\s\S] )* (?: " | \\?\Z | (?=\n) )
        | '(?: [^'\\\n] | \\[\s\S] )* (?: ' | \\?\Z | (?=\n) ) ) )
    | (?P<comment> \#[^\n]* )
    | (?P<name> [^\W\d]\w* )
    | (?P<number> \d[\w.]* )
    | (?P<open> [(\[{] ) | (?P<close> [)\]}] )
    | \\\n
    | (?P<end> \n | ; )
    | (?P<comma> , )
    | (?P<compared> [=!]= | [<>]=? (?![<>]) )
    | (?P<assigned> (?: [-+*/%&|^@] | // | \*\* | << | >> | : )? = (?!=) )
    | (?P<colon> : )
    | (?P<dot> \. )
    | (?P<other> [^\s] )""",
    re.VERBOSE,
)

_CONTENT = LatePattern(
    r"""[bBrRuUfFtT]{0,2} (?P<quote> \"{3} | '{3} | ["'] ) (?P<content> [\s\S]*? ) (?: (?P=quote) )? \Z""", re.VERBOSE
)
_NAME_LIKE = LatePattern(r"[A-Za-z0-9_.:-]{1,100}")
_LOOKUPS = frozenset(("get", "getenv", "pop", "env", "config", "getlist", "setdefault", "get_secret", "header"))
_COMPOUND = frozenset(
    ("if", "elif", "while", "for", "with", "def", "class", "else", "try", "except", "finally", "async", "match", "case")
)
_BOUNDARIES = frozenset(("and", "or", "if", "else", "for", "return", "yield", "lambda", "assert", "while", "elif"))
_COMPARES = frozenset(("compare_digest", "constant_time_compare", "assertEqual", "assertNotEqual", "verify", "equals"))
_SQL = LatePattern(r"\b(?:insert|update|where|alter|create)\b", re.IGNORECASE)
_EXCEPTION = ("Error", "Exception", "Warning", "Required", "Failed")
_NO_CALL = frozenset(("raise", "except", "class", "def", "import", "from"))
_MOST_DOTS = 8
_LONG_NUMBER = 6  # digits
_PLACEHOLDER = ("{", "%s", "%(", "%r", "(%s", "(?", "(:", "?", ":", "[filtered]")


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


def literals_of_secrets(is_sensitive: Callable[[str], bool], in_texts: Sequence[Finder]) -> Finder:
    """Return a finder of these literals in source; ``in_texts`` find secrets in its texts and comments."""

    def spans_from(source: str, start: int) -> Iterator[Span]:
        for statement in _statements(source, start):
            hidden = _hidden(statement, is_sensitive)
            for place, token in enumerate(statement):
                if place in hidden:
                    yield Span(token.start, token.end)
                elif token.kind in ("text", "comment"):
                    yield from _in_text(token, in_texts)

    def spans(source: str) -> Iterator[Span]:
        found = [*spans_from(source, 0)]
        for quotes in ('"""', "'''"):
            if source.count(quotes) % 2:  # it begins or ends within a text in these quotes; which is unknown
                found += spans_from(source, source.index(quotes) + len(quotes))
        return _without_overlaps(sorted(found))

    return spans


def _without_overlaps(spans: Iterable[Span]) -> Iterator[Span]:
    apart: list[Span] = []
    for span in spans:
        if not apart or span.start >= apart[-1].end:
            apart.append(span)
        elif span.end > apart[-1].end:
            apart[-1] = Span(apart[-1].start, span.end)
    return iter(apart)


def _statements(source: str, start: int) -> Iterator[list[_Token]]:
    """Yield the tokens of each statement, without its end; the head of a compound one counts as a statement."""
    statement: list[_Token] = []
    depth = 0
    for found in _TOKEN.compiled().finditer(source, start):
        kind = found.lastgroup
        if kind is None:
            continue
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth = max(depth - 1, 0)
        is_head = kind == "colon" and not depth and bool(statement) and statement[0].text in _COMPOUND
        if is_head or (kind == "end" and not depth):
            if statement:
                yield statement
            statement = []
        elif kind != "end":
            statement.append(_Token(kind, found[0], *found.span()))
    if statement:
        yield statement


def _in_text(token: _Token, finders: Sequence[Finder]) -> Iterator[Span]:
    content, start = token.text, token.start
    if token.kind == "text":
        found = _CONTENT.compiled().match(token.text)
        if found is None:
            return
        content, start = found["content"], token.start + found.start("content")
    kept_to = 0
    for span in sorted(span for find in finders for span in find(content)):
        if span.start >= kept_to and not content.startswith(_PLACEHOLDER, span.start):
            kept_to = span.end
            yield Span(start + span.start, start + span.end, span.quote)


def _hidden(statement: list[_Token], is_sensitive: Callable[[str], bool]) -> set[int]:
    """Return the places of the literals that are, or may be, secrets."""
    if not any(token.kind in ("name", "text") and is_sensitive(token.text) for token in statement):
        return set()
    return _Statement(statement, is_sensitive).hidden()


class _Statement:
    """Finds the literals of one statement that may be secrets, in time proportional to its length."""

    def __init__(self, tokens: list[_Token], is_sensitive: Callable[[str], bool]) -> None:
        self._tokens = tokens
        self._is_sensitive = is_sensitive
        self._brackets = _Brackets(tokens)
        self._marks = [0] * (len(tokens) + 1)  # stretches that begin at a place, minus those that end there

    def hidden(self) -> set[int]:
        self._hide_assigned()
        for place, token in enumerate(self._tokens):
            if token.kind == "name" and self._is_sensitive(token.text):
                self._hide_for_name(place)
            elif token.kind == "text" and self._is_name(token):
                self._hide_for_text(place)
            elif token.kind == "text" and self._is_statement(token):
                self._hide(place + 1, self._brackets.closed_by[self._brackets.opening[place]])
        return {
            place
            for place, (depth, token) in enumerate(zip(accumulate(self._marks), self._tokens))
            if depth and self._may_be_secret(place, token)
        }

    def _hide_assigned(self) -> None:
        """Hide assigned literals; everything before the last ``=`` outside of brackets is a target."""
        assigned = [place for place in self._brackets.outside if self._tokens[place].kind == "assigned"]
        if assigned and any(
            self._is_sensitive(token.text) if token.kind == "name" else token.kind == "text" and self._is_name(token)
            for token in self._tokens[: assigned[-1]]
        ):
            self._hide(assigned[0] + 1, len(self._tokens))

    def _hide_for_name(self, place: int) -> None:
        tokens, behind = self._tokens, self._kind(place + 1)
        if behind == "assigned" or (behind == "colon" and place not in self._brackets.outside):
            self._hide(place + 2, self._brackets.end[place])
        else:
            is_object = behind == "dot" and "session" not in tokens[place].text.lower()
            if is_object or (behind == "open" and not tokens[place].text.endswith(_EXCEPTION)):
                self._hide_arguments(place)
        self._hide_compared(place)
        opening = self._brackets.opening[place]
        if opening > 0 and self._tokens[opening - 1].text in _COMPARES:
            self._hide(opening + 1, self._brackets.closed_by[opening])

    def _hide_arguments(self, place: int) -> None:
        for _ in range(_MOST_DOTS):
            if self._kind(place + 1) == "dot" and self._kind(place + 2) == "name":
                place += 2
        is_call = self._kind(place + 1) == "open" and self._tokens[place + 1].text == "("
        if is_call and self._tokens[0].text not in _NO_CALL:
            self._hide(place + 2, self._brackets.closed_by[place + 1])

    def _hide_for_text(self, place: int) -> None:
        behind = self._kind(place + 1)
        if behind == "colon":
            self._hide(place + 2, self._brackets.end[place])
        elif behind == "comma" and place + 2 < len(self._tokens):
            self._hide(place + 2, self._brackets.end[place + 2])
        elif behind == "close":
            self._hide_compared(place + 1)

    def _hide_compared(self, place: int) -> None:
        start, end = self._brackets.comparison.get(self._brackets.part[place], (0, 0))
        self._hide(start, end)

    def _hide(self, start: int, end: int) -> None:
        if start < end:
            self._marks[start] += 1
            self._marks[end] -= 1

    def _may_be_secret(self, place: int, token: _Token) -> bool:
        if token.kind == "number":
            return sum(map(str.isdigit, token.text)) >= _LONG_NUMBER
        return token.kind == "text" and not self._is_lookup_key(place)

    def _is_lookup_key(self, place: int) -> bool:
        """Whether a literal is a name being looked up."""
        if place < 2 or self._kind(place - 1) != "open" or not self._is_name(self._tokens[place]):
            return False
        before, opening = self._tokens[place - 2 : place]
        if opening.text == "[":
            return self._kind(place + 1) == "close" and before.kind in ("name", "close")
        return opening.text == "(" and before.text in _LOOKUPS

    def _is_name(self, token: _Token) -> bool:
        found = _CONTENT.compiled().match(token.text)
        is_name = found is not None and _NAME_LIKE.compiled().fullmatch(found["content"]) is not None
        return is_name and found is not None and self._is_sensitive(found["content"])

    def _is_statement(self, token: _Token) -> bool:
        return _SQL.compiled().search(token.text) is not None and self._is_sensitive(token.text)

    def _kind(self, place: int) -> str:
        return self._tokens[place].kind if place < len(self._tokens) else ""


class _Brackets:
    """How the tokens of a statement belong together.

    Attributes:
        outside: the places of the tokens outside of brackets.
        end: for each token the place of the comma or bracket that ends its member.
        opening: for each token the place of the bracket that it is in, or -1.
        closed_by: for each opening bracket the place of the closing one.
        part: for each token the number of its operand; commas, ``and`` and ``or`` separate operands.
        comparison: start and end of each part that contains a comparison.
    """

    def __init__(self, tokens: list[_Token]) -> None:
        self.outside: set[int] = set()
        self.end = [len(tokens)] * len(tokens)
        self.opening = [-1] * len(tokens)
        self.closed_by: dict[int, int] = {}
        self.part = [0] * len(tokens)
        self.comparison: dict[int, tuple[int, int]] = {}
        self._parts = 0
        opened = [_Level(-1, 0, self._next_part())]
        for place, token in enumerate(tokens):
            if token.kind == "close":
                level = opened.pop()
                self._end_part(level, place)
                self._end_member(level, place)
                self.closed_by[level.opening] = place
                if not opened:  # the beginning is lost
                    opened.append(_Level(-1, 0, self._next_part()))
            level = opened[-1]
            self.part[place], self.opening[place] = level.part, level.opening
            if len(opened) == 1:
                self.outside.add(place)
            if token.kind == "comma":
                self._end_part(level, place)
                self._end_member(level, place)
            elif token.text in _BOUNDARIES:
                self._end_part(level, place)
            elif token.kind == "compared" or token.text in ("in", "is"):
                level.is_compared = True
            level.member.append(place)
            if token.kind == "open":
                opened.append(_Level(place, place + 1, self._next_part()))
        for level in opened:
            self._end_part(level, len(tokens))
            self.closed_by[level.opening] = len(tokens)

    def _next_part(self) -> int:
        self._parts += 1
        return self._parts

    def _end_part(self, level: _Level, place: int) -> None:
        if level.is_compared:
            self.comparison[level.part] = (level.part_start, place)
        level.part, level.part_start, level.is_compared = self._next_part(), place + 1, False

    def _end_member(self, level: _Level, place: int) -> None:
        for member in level.member:
            self.end[member] = place
        level.member = []


class _Level:
    """An open bracket, or the top level: which of its tokens belong to the current member and part."""

    def __init__(self, opening: int, part_start: int, part: int) -> None:
        self.opening = opening
        self.member: list[int] = []
        self.part_start = part_start
        self.part = part
        self.is_compared = False
