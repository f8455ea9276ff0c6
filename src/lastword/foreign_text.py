"""Make foreign texts safe to keep and show.

A tracker, a proxy or a file in another user's spool may contain anything: escape sequences that control the terminal,
line ends and bidirectional controls that forge the text beside them, 64 KiB of text, or the token that we have sent.
So ``one_line`` turns each foreign text into one line of bounded length as soon as it is received. ``printable`` is for
texts that may have several lines, and a second protection for everything that is shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from urllib.parse import quote, quote_plus

#: Characters of a quoted foreign text, and of our line that quotes it.
MOST_QUOTED = 200
MOST_OF_LINE = 400

FILTERED = "[filtered]"

#: Characters of a text that are read.
_MOST_READ = 4096

#: A secret with fewer characters than this is only searched as a whole word: it may be a part of other words.
LEAST_SECRET = 6

#: Invisible characters that Unicode counts as letters and marks; most variation selectors are invisible too.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")

_WORD = r"""[^\s"'<>]+"""
_USERINFO = r"(/\\?/)[^/?#]*@"  # JSON may write each slash as \/


def one_line(text: str, most: int = MOST_OF_LINE, secrets: Sequence[str] = ()) -> str:
    """Return ``text`` as one line of at most ``most`` printable characters; a cut text ends in ``…``.

    Each run of blanks and unprintable characters becomes one blank. ``[filtered]`` replaces each of ``secrets``, and
    userinfo and query values of any URL.
    """
    goes_on, text = len(text) > _MOST_READ, without_secrets(text[:_MOST_READ], secrets)
    if not _is_plain(text):
        text = "".join(character if _is_printable(character) else " " for character in text)
    text = " ".join(text.split())
    if goes_on:  # the last word may be half of a secret
        text = text.rpartition(" ")[0] + "…" if len(text) < most else text
    return text if len(text) <= most else text[: most - 1] + "…"


def printable(text: str, *, lines: bool = True) -> str:
    """Return ``text`` with an escape (``\\x1b``) for each unprintable character.

    Tabs stay, and line ends if ``lines`` is true.
    """
    if _is_plain(text):
        return text
    kept = "\n\t" if lines else "\t"
    text = text.replace("\r\n", "\n") if lines else text
    return "".join(
        character
        if _is_printable(character) or character in kept
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def without_secrets(text: str, secrets: Sequence[str] = ()) -> str:
    """Return ``text`` with ``[filtered]`` for each of ``secrets``, and for userinfo and query values of any URL.

    Secrets are found plain and as written in URLs, JSON and HTML.
    """
    pattern = _pattern_of(tuple(secrets))
    if pattern:
        text = re.sub(pattern, FILTERED, text, flags=re.IGNORECASE)
    if ("@" in text or "?" in text or "#" in text) and ("/" in text or "=" in text):
        text = re.sub(_WORD, lambda word: _without_secrets_of_url(word[0]), text)
    return text


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _is_printable(character: str) -> bool:
    if not character.isprintable() or character in _INVISIBLE:
        return False
    return not ("\ufe00" <= character <= "\ufe0d" or "\U000e0100" <= character <= "\U000e01ef")


def _without_secrets_of_url(word: str) -> str:
    word = re.sub(_USERINFO, rf"\1{FILTERED}@", word)
    found = re.search("[?#]", word)
    if found is None:
        return word
    place, query = word[: found.start()], word[found.start() :]
    if "=" in query or "/" in place:
        return place + "".join(map(_without_value, re.split("([?&#])", query)))
    return word


def _without_value(piece: str) -> str:
    if not piece or piece in "?&#":
        return piece
    name, equals, _ = piece.partition("=")
    return f"{name}={FILTERED}" if equals else FILTERED


@lru_cache(maxsize=64)
def _pattern_of(secrets: tuple[str, ...]) -> str:
    forms = {form for secret in secrets if secret for form in _forms(secret)}
    return "|".join(map(_pattern_of_form, sorted(forms, key=len, reverse=True)))


def _pattern_of_form(secret: str) -> str:
    escaped = re.escape(secret)
    return escaped if len(secret) >= LEAST_SECRET else rf"(?<![^\W_]){escaped}(?![^\W_])"


def _forms(secret: str) -> Iterable[str]:
    """Yield the forms in which an answer may contain ``secret``."""
    in_url = quote(secret, safe="", errors="replace")
    yield from (secret, in_url, quote(in_url), quote(secret, errors="replace"), quote_plus(secret, errors="replace"))
    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    in_html = secret.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    yield from (in_html, in_html.replace('"', "&quot;").replace("'", "&#x27;"))
    if not secret.isascii():  # headers are decoded as Latin-1, bodies as UTF-8, whatever their encoding
        yield secret.encode("latin-1", "replace").decode("utf-8", "replace")
        yield secret.encode("utf-8", "replace").decode("latin-1")
