"""Names that say that their value is a secret: of variables, keys, tags, parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: A name that contains one of them is sensitive. ``_`` stands for itself, ``-``, a dot, a blank or nothing.
WORDS = (
    *("password", "passwd", "pwd", "secret", "token", "api_key", "access_key", "auth", "credential", "private"),
    *("cookie", "session", "dsn"),
)

#: Headers of proxies that tell who asked.
CLIENT_ADDRESSES = ("x_forwarded_for", "x_real_ip")

_MAX_NAMES_KNOWN = 4096
_MAX_KNOWN_LENGTH = 200


def pattern_of(words: Iterable[str]) -> str:
    """Matches any of ``words``; to be compiled with ``re.IGNORECASE``."""
    return "|".join("[-_. ]?".join(map(re.escape, re.split("[-_. ]", word))) for word in words)


class SensitiveNames:
    """Knows which names are sensitive, and remembers its answers."""

    def __init__(self, more: Iterable[str] = (), kept: Iterable[str] = ()) -> None:
        self._search = re.compile(pattern_of([*WORDS, *CLIENT_ADDRESSES, *more]), re.IGNORECASE).search
        self._kept = frozenset(map(_plain, kept))
        # Not functools.lru_cache, which takes a lock on PyPy. A dict needs none: each step is atomic, and an answer
        # that is lost is worked out again.
        self._known: dict[str, bool] = {}

    def is_sensitive(self, name: str) -> bool:
        """Whether a value of that name is a secret. ``API_TOKEN`` is, and ``author``, for it contains ``auth``."""
        answer = self._known.get(name)
        if answer is None:
            answer = self._search(name) is not None and _plain(name) not in self._kept
            if len(name) <= _MAX_KNOWN_LENGTH:
                if len(self._known) >= _MAX_NAMES_KNOWN:
                    self._known.clear()
                self._known[name] = answer
        return answer


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


#: By lastword's own list alone.
is_sensitive = SensitiveNames().is_sensitive
