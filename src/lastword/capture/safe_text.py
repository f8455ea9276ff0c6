"""Texts that are safe to keep: exact ``str``, bounded, encodable in UTF-8, and read without running application code.

A subclass of ``str`` may override slicing, a metaclass may give a class a false name, and no tracker can store a text
with a lone surrogate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

from lastword.interruption import failures

ELLIPSIS = "…"

#: Characters before the kept end of a text that are scrubbed with it: the length of the longest usual private key.
_LEAD = 8192

# The descriptors of ``type`` itself: attribute access on a class would run code of its metaclass first.
_name_of = type.__dict__["__name__"].__get__
_qualname_of = type.__dict__["__qualname__"].__get__
_module_of = type.__dict__["__module__"].__get__


def exact(text: str) -> str:
    """Return ``text`` as an exact ``str``, also if it is of a subclass."""
    return text if type(text) is str else "".join((text,))


def clean(text: str, limit: int) -> str:
    """Return ``text`` in at most ``limit`` characters; a cut shows as ``…``, a lone surrogate as ``\\udc80``."""
    if type(text) is not str:
        text = exact(text)
    if len(text) <= limit and text.isascii():
        return text
    head = _encodable(text[:limit])
    if len(text) <= limit and len(head) <= limit:
        return head
    return head[: limit - 1] + ELLIPSIS


def clean_marked(text: str, limit: int) -> str:
    """Like ``clean``, for the texts people read first: a cut shows the number of characters left out."""
    text = exact(text)
    if len(text) <= limit:
        return clean(text, limit)
    kept = limit - len(_cut_mark(len(text)))
    head = _encodable(text[:kept])[:kept]
    return head + _cut_mark(len(text) - kept)


def clean_ends(text: str, limit: int, scrub: Callable[[str], str]) -> str:
    """Like ``clean_marked``, but keeps both ends of a longer text: the failure is often described at the end.

    The end is scrubbed together with the 8,192 characters before it, because a secret without its beginning cannot be
    recognised.
    """
    text = exact(text)
    if len(text) <= limit:
        return clean(text, limit)
    kept = limit - len(_cut_mark(len(text))) - len(f" {ELLIPSIS}")
    behind = kept // 2
    head = _encodable(text[: kept - behind])[: kept - behind]
    tail = _encodable(scrub(text[-behind - _LEAD :]))[-behind:]
    return f"{head}{_cut_mark(len(text) - kept)} {ELLIPSIS}{tail}"


def class_name(cls: type) -> str:
    """Return the bare name of a class, whatever its metaclass says."""
    return clean(_name_of(cls), 200)


def class_module(cls: type) -> Optional[str]:
    """Return the module of a class; None if its ``__module__`` is not a text."""
    try:
        module = _module_of(cls)
    except failures(AttributeError):  # the program has deleted it
        return None
    return clean(module, 200) if type(module) is str else None


def class_path(cls: type) -> str:
    """Return ``module.Outer.Inner``; builtins without their module."""
    module, qualname = class_module(cls), clean(_qualname_of(cls), 200)
    return qualname if module in (None, "builtins") else f"{module}.{qualname}"


def describe(error: BaseException) -> str:
    """Return the class of an internal error, for a diagnostic note; its text may contain application data."""
    return class_path(type(error))


def _encodable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _cut_mark(count: int) -> str:
    return f"{ELLIPSIS} ({count} characters left out)"
