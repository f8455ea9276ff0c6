"""Texts that steer a terminal, or forge what stands beside them, where they are shown as they came."""

from __future__ import annotations

import unicodedata

#: What each does, where it gets through.
HOSTILE = {
    "sets the title": "\x1b]0;PWNED\x07",
    "clears the screen": "\x1b[2J\x1b[H",
    "turns the colour": "\x1b[31m",
    "writes to the clipboard": "\x1b]52;c;cm0gLXJm\x07",
    "makes a link": "\x1b]8;;http://evil.example/\x1b\\click\x1b]8;;\x1b\\",
    "has the terminal answer": "\x1b[c\x1bP$q\x1b\\\x05",
    "goes back over the line": "\rall is well",
    "goes back by characters": "\b\b\b\b\b\bfine",
    "rings, feeds, deletes": "\x07\x0b\x0c\x7f",
    "does so with C1": "\x9b31m\x9d0;PWNED\x9c\x90q\x9c\x85",
    "turns the direction": "\u202egnihton\u202c\u2066x\u2069\u200f\u061c",
    "cannot be seen": "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u3164\U000e0041\U000e0101",
    "ends the line": "a\nPROBLEM  forged: line\r\nb\u2028c\u2029d\x1cd\x1ee",
    "is no text": "\ud800\udc80\udfff",
    "has a NUL": "a\x00b",
    "has other blanks": "a\u3000\u00a0\u2003b",
}

ALL = "".join(HOSTILE.values())


def harm_in(text: str, *, lines: bool = True) -> list[str]:
    """The characters of ``text`` that a terminal should not be given; ends of lines and tabs only without ``lines``."""
    kept = "\n\t" if lines else ""
    return [hex(ord(one)) for one in text if one not in kept and _is_harmful(one)]


def _is_harmful(character: str) -> bool:
    kind = unicodedata.category(character)
    return kind.startswith("C") or (kind.startswith("Z") and character != " ") or character in "\u034f\u3164\U000e0101"
