"""Texts of others, made fit to be kept and shown.

A tracker, a proxy or a file of somebody else's spool may say anything: escape sequences that steer the terminal, line
ends and bidirectional controls that forge what stands beside them, 64 KiB of it, or the very token that we have sent.
So each such text becomes one line of bounded length where it enters, by ``one_line``. ``printable`` is for whoever
shows a text that may have several lines, and the net below all that is shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from urllib.parse import quote, quote_plus

#: Characters of what one of the others says, and of a line of ours that quotes it.
MOST_QUOTED = 200
MOST_OF_LINE = 400

FILTERED = "[filtered]"

#: Characters of a text that are looked at.
_LOOKED_AT = 4096

#: A secret with fewer characters than this is looked for as a word of its own: it may well be a part of others.
LEAST_SECRET = 6

#: Are not seen, though Unicode counts them as letters and marks; so are most variation selectors.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")

_WORD = r"""[^\s"'<>]+"""
_USERINFO = r"(/\\?/)[^/?#]*@"  # JSON may write each slash as \/


def one_line(text: str, most: int = MOST_OF_LINE, secrets: Sequence[str] = ()) -> str:
    """``text`` in one line of at most ``most`` characters, all of which can be printed; of what was cut the last one is
    ``…``. Each run of what cannot be printed, and of blanks, is one blank.

    ``[filtered]`` stands for each of ``secrets``, and for userinfo and values in the query of any URL.
    """
    goes_on, text = len(text) > _LOOKED_AT, without_secrets(text[:_LOOKED_AT], secrets)
    if not _is_plain(text):
        text = "".join(character if _is_printable(character) else " " for character in text)
    text = " ".join(text.split())
    if goes_on:  # the last word may be half of a secret
        text = text.rpartition(" ")[0] + "…" if len(text) < most else text
    return text if len(text) <= most else text[: most - 1] + "…"


def printable(text: str, *, lines: bool = True) -> str:
    """``text`` with an escape (``\\x1b``) for each character that cannot be printed, but for tabs and, with ``lines``,
    the ends of lines.
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
    """``text`` with ``[filtered]`` for each of ``secrets``, as they are and as URLs, JSON and HTML write them, and for
    userinfo and values in the query of any URL.
    """
    pattern = _pattern_of(tuple(secrets))
    if pattern:
        text = re.sub(pattern, FILTERED, text, flags=re.IGNORECASE)
    if ("@" in text or "?" in text or "#" in text) and ("/" in text or "=" in text):
        text = re.sub(_WORD, lambda word: _without_those_of_url(word[0]), text)
    return text


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _is_printable(character: str) -> bool:
    if not character.isprintable() or character in _INVISIBLE:
        return False
    return not ("\ufe00" <= character <= "\ufe0d" or "\U000e0100" <= character <= "\U000e01ef")


def _without_those_of_url(word: str) -> str:
    word = re.sub(_USERINFO, rf"\1{FILTERED}@", word)
    place, query = _split_at_query(word)
    if "=" in query or (query and "/" in place):
        pieces = (_without_value(piece) for piece in re.split("([?&#])", query))
        return place + "".join(pieces)
    return word


def _split_at_query(word: str) -> tuple[str, str]:
    """What stands before the first ``?`` or ``#``, and that with all behind it."""
    found = re.search("[?#]", word)
    return (word[: found.start()], word[found.start() :]) if found else (word, "")


def _without_value(piece: str) -> str:
    if not piece or piece in "?&#":
        return piece
    name, equals, _ = piece.partition("=")
    return f"{name}={FILTERED}" if equals else FILTERED


@lru_cache(maxsize=64)
def _pattern_of(secrets: tuple[str, ...]) -> str:
    forms = {form for secret in secrets if secret for form in _forms(secret)}
    return "|".join(map(_sought, sorted(forms, key=len, reverse=True)))


def _sought(secret: str) -> str:
    escaped = re.escape(secret)
    return escaped if len(secret) >= LEAST_SECRET else rf"(?<![^\W_]){escaped}(?![^\W_])"


def _forms(secret: str) -> Iterable[str]:
    """The ways in which an answer may write it."""
    in_url = quote(secret, safe="", errors="replace")
    yield from (secret, in_url, quote(in_url), quote(secret, errors="replace"), quote_plus(secret, errors="replace"))
    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    in_html = secret.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    yield from (in_html, in_html.replace('"', "&quot;").replace("'", "&#x27;"))
    if not secret.isascii():  # headers are read as Latin-1, bodies as UTF-8, whichever they are
        yield secret.encode("latin-1", "replace").decode("utf-8", "replace")
        yield secret.encode("utf-8", "replace").decode("latin-1")
