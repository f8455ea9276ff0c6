"""What is scrubbed, by the options of ``init`` or of the destination of an event."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import product
from typing import Union

from lastword.config import Config
from lastword.dsn import Destination
from lastword.scrub.in_source import literals_of_secrets
from lastword.scrub.json_values import scrub_json
from lastword.scrub.named_in_text import parameters_of_statements, values_beside_names, values_of_columns
from lastword.scrub.names import CLIENT_ADDRESSES, WORDS, SensitiveNames
from lastword.scrub.pairs_in_text import pairs_in_text
from lastword.scrub.texts import Rule, SecretsInTexts, folded
from lastword.scrub.values import value_rules


class Rules:
    """The options ``scrub``, ``scrub_names`` and ``keep_names``, prepared once.

    Attributes:
        off: nothing is scrubbed.
        texts: finds secrets in texts; None if texts are not scrubbed.
        names: finds JSON that may have a sensitive name, by the literals that ``texts`` does not search for already.
        are_ascii: whether all words are ASCII, so that they read the same in JSON.
    """

    def __init__(self, options: Union[Config, Destination]) -> None:
        self._names = SensitiveNames(options.scrub_names, options.keep_names)
        self.off = options.scrub == "off"
        self.texts, self._source = None, None
        words = [*WORDS, *CLIENT_ADDRESSES, *options.scrub_names]
        self.are_ascii = all(word.isascii() for word in words)
        literals = _literals_of(words)
        if options.scrub == "all":
            values, words_in_text = value_rules(), (*WORDS, *options.scrub_names)
            is_sensitive = self._names.is_sensitive_in_text
            in_texts = (
                values_of_columns(is_sensitive),
                parameters_of_statements(is_sensitive),
                values_beside_names(is_sensitive),
                pairs_in_text(is_sensitive, options.scrub_names),
            )
            in_json = partial(scrub_json, is_sensitive=is_sensitive)
            self.texts = SecretsInTexts([*values, Rule(words_in_text, in_texts)], in_json)
            in_source = literals_of_secrets(is_sensitive, in_texts)
            self._source = SecretsInTexts([*values, Rule(words_in_text, (in_source,))])
            literals -= set(map(folded, words_in_text))
        self.names = SecretsInTexts([Rule(tuple(sorted(literals)), ())])

    def is_sensitive(self, name: str) -> bool:
        """Whether the value of a variable, key or tag of that name must not be shown."""
        return not self.off and self._names.is_sensitive(name)

    def scrub_text(self, text: str) -> str:
        """Return ``text`` with ``[filtered]`` in place of each secret."""
        return text if self.texts is None else self.texts.without_secrets(text, self.texts.suspect([text]))

    def scrub_source(self, lines: Sequence[str]) -> list[str]:
        """Scrub lines of Python source and keep their number; of the values of sensitive names only literals go."""
        if self._source is None:
            return list(lines)
        suspicion = self._source.suspect(lines)
        return self._source.lines_without_secrets(lines, suspicion) if suspicion else list(lines)


def _literals_of(words: Iterable[str]) -> set[str]:
    """Return literals: each folded name with one of ``words`` contains one. Of separators, folding keeps only dots."""
    literals: set[str] = set()
    for word in words:
        first, *others = re.split("[-_. ]", word)
        if len(first) == 1 and others:  # the x of x_real_ip
            first, *others = others
        literals.update(first + "".join(rest) for rest in product(*(("." + piece, piece) for piece in others)))
    return set(map(folded, literals))
