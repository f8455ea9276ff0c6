"""Texts that are safe to keep: exact ``str``, bounded, encodable in UTF-8, and read without running application code.

A subclass of ``str`` may override slicing, a class may lie about its name through its metaclass, and a lone surrogate
makes a text that no tracker can store.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

from lastword.interruption import failures

ELLIPSIS = "…"

#: Characters before the kept end of a text that are looked at with it: as much as the longest usual private key.
_LEAD = 8192

# The descriptors of ``type`` itself: attribute access on the class would ask its metaclass first.
_name_of = type.__dict__["__name__"].__get__
_qualname_of = type.__dict__["__qualname__"].__get__
_module_of = type.__dict__["__module__"].__get__
_flags_of = type.__dict__["__flags__"].__get__

_MADE_AT_RUN_TIME = 1 << 9  # Py_TPFLAGS_HEAPTYPE


def exact(text: str) -> str:
    """``text`` as Python's own ``str``, where it is of a subclass."""
    return text if type(text) is str else "".join((text,))


def clean(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` characters; what was cut shows as ``…``, a lone surrogate as ``\\udc80``."""
    if type(text) is not str:
        text = exact(text)
    if len(text) <= limit and text.isascii():
        return text
    head = _encodable(text[:limit])
    if len(text) <= limit and len(head) <= limit:
        return head
    return head[: limit - 1] + ELLIPSIS


def clean_marked(text: str, limit: int) -> str:
    """Like ``clean``, for the texts people read first: what was cut is told by its number of characters."""
    text = exact(text)
    if len(text) <= limit:
        return clean(text, limit)
    kept = limit - len(_cut_mark(len(text)))
    head = _encodable(text[:kept])[:kept]
    return head + _cut_mark(len(text) - kept)


def clean_ends(text: str, limit: int, scrub: Callable[[str], str]) -> str:
    """Like ``clean_marked``, but of a longer text both ends are kept: what failed is often told at the end.

    The end is scrubbed, together with 8,192 characters before it, for nobody could recognise a secret that has lost its
    beginning.
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
    """The bare name of a class, whatever its metaclass says."""
    return clean(_name_of(cls), 200)


def class_module(cls: type) -> Optional[str]:
    """The module of a class; None when its ``__module__`` is not a text."""
    try:
        module = _module_of(cls)
    except failures(AttributeError):  # the program has deleted it
        return None
    return clean(module, 200) if type(module) is str else None


def is_builtin_class(cls: type) -> bool:
    """Whether a class came with the interpreter: not with a ``class`` statement, nor with an extension module."""
    return not _flags_of(cls) & _MADE_AT_RUN_TIME


def class_path(cls: type) -> str:
    """``module.Outer.Inner``; builtins without their module."""
    module, qualname = class_module(cls), clean(_qualname_of(cls), 200)
    return qualname if module in (None, "builtins") else f"{module}.{qualname}"


def describe(error: BaseException) -> str:
    """An error of our own for a diagnostic note: its class, for its text may be application data."""
    return class_path(type(error))


def _encodable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _cut_mark(count: int) -> str:
    return f"{ELLIPSIS} ({count} characters left out)"
