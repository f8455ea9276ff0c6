"""Find secrets in texts by any number of rules; texts without secrets cost only one scan of them all.

Regular expressions are compiled when they are first needed: all of them together take some ten milliseconds, which
every program start would pay for, and most events hold nothing that needs any of them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from re import Pattern
from typing import Callable, NamedTuple, Optional

from lastword.event import FILTERED

# PyPy has thread_time too; on a system without it, other work of the machine counts as well.
processor_time = getattr(time, "thread_time", time.perf_counter)


class LatePattern:
    """A pattern, compiled by the first ``compiled()``. Two threads may compile it at once; either result will do.

    ``seconds``: processor time spent on compiling all of them.
    """

    seconds = 0.0

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self._pattern = pattern
        self._flags = flags
        self._compiled: Optional[Pattern[str]] = None

    def compiled(self) -> Pattern[str]:
        if self._compiled is None:
            began = processor_time()
            self._compiled = re.compile(self._pattern, self._flags)
            LatePattern.seconds += processor_time() - began
        return self._compiled


_FOLD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", b"abcdefghijklmnopqrstuvwxyz0000000000")
_IGNORED = b" -_"

#: Characters to which a text may grow: an event is bounded before it is scrubbed, and scrubbing lengthens ``pwd=a``.
MAX_GROWN = 200


class Span(NamedTuple):
    """Where a secret is in a text; ``quote`` is put around the mark that replaces it."""

    start: int
    end: int
    quote: str = ""


def folded(text: str) -> str:
    """Return ``text`` as it is searched for literals: lower case, each digit a 0, without blanks, ``-`` and ``_``."""
    return text.encode("utf-8", "surrogatepass").translate(_FOLD, _IGNORED).decode("latin-1")


Finder = Callable[[str], Iterator[Span]]


class Rule(NamedTuple):
    """One kind of secret.

    Attributes:
        literals: the folded form of each text with a secret of this kind contains one of them.
        finders: each yields where the secrets of a text are, in order; a later one gets the text scrubbed by the
            earlier ones.
        look_closer: whether texts that contain one of the literals may really have a secret. Called once for all of
            them, joined by newlines, plain or as JSON; for rules whose literals alone would match too often.
    """

    literals: tuple[str, ...]
    finders: Sequence[Finder]
    look_closer: Callable[[str], bool] = lambda texts: True


#: What one or more texts may hold: the literals found in them, each with its rule.
Suspicion = Sequence[tuple[str, Rule]]


class SecretsInTexts:
    """Removes from texts what any of its rules finds.

    ``json_without`` scrubs a text that is JSON, given the text and a function that cleans the texts in it; see
    ``json_values.scrub_json``.
    """

    def __init__(
        self,
        rules: Iterable[Rule] = (),
        json_without: Callable[[str, Callable[[str], str]], Optional[str]] = lambda text, clean: None,
    ) -> None:
        self._literals = tuple((folded(literal), rule) for rule in rules for literal in rule.literals)
        self._json_without = json_without

    def suspect(self, texts: Iterable[str], among: Optional[Suspicion] = None) -> Suspicion:
        """Return which literals, of all or of ``among``, any of ``texts`` may hold; nearly always none."""
        all_of_them = "\n".join(texts)
        in_folded = folded(all_of_them).__contains__
        found = [one for one in (self._literals if among is None else among) if in_folded(one[0])]
        return [one for one in found if one[1].look_closer(all_of_them)] if found else found

    def without_secrets(self, text: str, suspicion: Suspicion) -> str:
        """Return ``text`` with ``[filtered]`` in place of each secret; no longer than before, or 200 characters.

        JSON stays JSON.
        """
        rules = self._rules_for(text, suspicion)
        if not rules:
            return text
        opening = text.lstrip()[:2]
        if opening[:1] in ("{", "[") and opening[1:] != "'":  # {' begins a Python repr
            as_json = self._json_without(text, partial(self.without_secrets, suspicion=suspicion))
            if as_json is not None:
                return as_json
        scrubbed = _without_secrets(text, rules, keep_lines=False)
        most = max(len(text), MAX_GROWN)
        return scrubbed if len(scrubbed) <= most else scrubbed[: most - 1] + "…"

    def lines_without_secrets(self, lines: Sequence[str], suspicion: Suspicion) -> list[str]:
        """Scrub ``lines`` and keep their number; a secret may begin in one and end in another."""
        source = "\n".join(lines)
        return _without_secrets(source, self._rules_for(source, suspicion), keep_lines=True).split("\n")

    def _rules_for(self, text: str, suspicion: Suspicion) -> list[Rule]:
        rules: list[Rule] = []
        for _, rule in self.suspect((text,), suspicion):
            if rule not in rules:
                rules.append(rule)
        return rules


def _without_secrets(text: str, rules: Iterable[Rule], *, keep_lines: bool) -> str:
    for rule in rules:
        for spans in rule.finders:
            text = _replaced(text, spans(text), keep_lines)
    return text


def _replaced(text: str, spans: Iterator[Span], keep_lines: bool) -> str:
    pieces: list[str] = []
    kept_to = 0
    for start, end, quote in spans:
        pieces += (text[kept_to:start], quote, FILTERED, quote)
        if keep_lines:
            pieces.append("\n" * text.count("\n", start, end))
        kept_to = end
    return "".join([*pieces, text[kept_to:]]) if pieces else text
