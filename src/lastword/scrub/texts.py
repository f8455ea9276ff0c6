"""Secrets in texts, by any number of rules, at the price of one look at all texts where there are none.

Regular expressions that are compiled when they are first needed.

All those of the rules together take some ten milliseconds, which every start of a program would pay for; most events
hold nothing that would have any of them looked for.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from re import Pattern
from typing import Callable, NamedTuple, Optional

from lastword.event import FILTERED

# PyPy has it too; where the system has none, other work of the machine counts.
processor_time = getattr(time, "thread_time", time.perf_counter)


class LatePattern:
    """``compiled()`` is the pattern. Two threads may compile it at once; either result will do.

    ``seconds``: of the processor's time, that went into all of them.
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

#: Characters that a text may come to have: an event is bounded before it is scrubbed, and ``pwd=a`` gets longer by it.
MAX_GROWN = 200


class Span(NamedTuple):
    """Where a secret is in a text; ``quote``: what stands around the mark in its place."""

    start: int
    end: int
    quote: str = ""


def folded(text: str) -> str:
    """``text`` as literals are looked for in it: in lower case, each digit a 0, without blanks, ``-`` and ``_``."""
    return text.encode("utf-8", "surrogatepass").translate(_FOLD, _IGNORED).decode("latin-1")


Finder = Callable[[str], Iterator[Span]]


class Rule(NamedTuple):
    """One kind of secret.

    Attributes:
        literals: one of them is in the folded form of each text that has such a secret.
        finders: each tells where secrets of a text are, in order; a later one looks at what an earlier one has left.
        look_closer: whether texts that have one of the literals may have such a secret indeed. Asked once for all of
            them, joined by newlines, plain or as JSON, where the literals alone would find too much.
    """

    literals: tuple[str, ...]
    finders: Sequence[Finder]
    look_closer: Callable[[str], bool] = lambda texts: True


#: What a text, or several, may hold: literals that are in it, each with its rule.
Suspicion = Sequence[tuple[str, Rule]]


class SecretsInTexts:
    """Takes out of texts what any of its rules finds.

    ``json_without``: what to make of a text that is JSON, given the text and how to clean those in it; see
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
        """What may be in any of ``texts``, of all or of ``among``; nothing at all in nearly all cases."""
        all_of_them = "\n".join(texts)
        in_folded = folded(all_of_them).__contains__
        found = [one for one in (self._literals if among is None else among) if in_folded(one[0])]
        return [one for one in found if one[1].look_closer(all_of_them)] if found else found

    def without_secrets(self, text: str, suspicion: Suspicion) -> str:
        """``text`` with ``[filtered]`` in the place of each secret; no longer than it was, or 200 characters.

        Where it is JSON, it stays JSON.
        """
        rules = self._rules_for(text, suspicion)
        if not rules:
            return text
        opening = text.lstrip()[:2]
        if opening[:1] in ("{", "[") and opening[1:] != "'":  # Python's own has that
            as_json = self._json_without(text, partial(self.without_secrets, suspicion=suspicion))
            if as_json is not None:
                return as_json
        scrubbed = _without_secrets(text, rules, keep_lines=False)
        most = max(len(text), MAX_GROWN)
        return scrubbed if len(scrubbed) <= most else scrubbed[: most - 1] + "…"

    def lines_without_secrets(self, lines: Sequence[str], suspicion: Suspicion) -> list[str]:
        """``lines`` likewise, and as many; a secret may begin in one and end in another."""
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
