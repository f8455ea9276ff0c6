"""Sensitive names, whose value is a secret: of variables, keys, tags, parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

#: A name that contains one of them is sensitive. ``_`` stands for itself, ``-``, a dot, a blank or nothing.
WORDS = (
    *("password", "passwd", "pwd", "secret", "token", "api_key", "access_key", "auth", "credential", "private"),
    *("cookie", "session", "dsn"),
)

#: Proxy headers that hold the client's address.
CLIENT_ADDRESSES = ("x_forwarded_for", "x_real_ip")

# Words that contain one of WORDS by chance. As the name of a variable or key they are sensitive nevertheless.
_LOOK_ALIKE = re.compile(r"author(?!i[sz])|tokeni[sz]|secretar|authentic(?!at)", re.IGNORECASE)

_MAX_NAMES_KNOWN = 4096
_MAX_KNOWN_LENGTH = 200


def pattern_of(words: Iterable[str]) -> str:
    """Return a pattern that matches any of ``words``; compile it with ``re.IGNORECASE``."""
    return "|".join("[-_. ]?".join(map(re.escape, re.split("[-_. ]", word))) for word in words)


class SensitiveNames:
    """Decides which names are sensitive, and caches the answers."""

    def __init__(self, more: Sequence[str] = (), kept: Iterable[str] = ()) -> None:
        self._search = re.compile(pattern_of([*WORDS, *CLIENT_ADDRESSES, *more]), re.IGNORECASE).search
        self._search_more = re.compile(pattern_of(more), re.IGNORECASE).search if more else None
        self._kept = frozenset(map(_plain, kept))
        # Not functools.lru_cache, which takes a lock on PyPy. A dict needs none: each step is atomic, and a lost
        # answer is computed again.
        self._known: dict[str, bool] = {}

    def is_sensitive(self, name: str) -> bool:
        """Whether a value of that name is a secret: ``API_TOKEN``, also ``author``, because it contains ``auth``."""
        answer = self._known.get(name)
        if answer is None:
            answer = self._search(name) is not None and _plain(name) not in self._kept
            if len(name) <= _MAX_KNOWN_LENGTH:
                if len(self._known) >= _MAX_NAMES_KNOWN:
                    self._known.clear()
                self._known[name] = answer
        return answer

    def is_sensitive_in_text(self, name: str) -> bool:
        """The same for a name in a text or in source, where ``author`` is an ordinary word."""
        if not self.is_sensitive(name):
            return False
        if _LOOK_ALIKE.search(name) is None or (self._search_more is not None and self._search_more(name)):
            return True
        return self.is_sensitive(_LOOK_ALIKE.sub("", name))


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


#: By lastword's own list only.
is_sensitive = SensitiveNames().is_sensitive
