"""How exceptions are tied to one another, read where BaseException itself keeps it.

A class of the application may have properties of the same names, and they would run.
"""

from __future__ import annotations

import builtins
from typing import Any, Literal, Optional

from lastword.capture.safe_text import class_module, class_name
from lastword.interruption import failures

Kind = Literal["cause", "context", "member"]

_cause_of = BaseException.__dict__["__cause__"].__get__
_context_of = BaseException.__dict__["__context__"].__get__
_suppresses_context = BaseException.__dict__["__suppress_context__"].__get__
_mro_of = type.__dict__["__mro__"].__get__

#: Python's own, since 3.11.
_GROUP: Any = getattr(builtins, "BaseExceptionGroup", None)
_members_of_group: Any = _GROUP.__dict__["exceptions"].__get__ if _GROUP is not None else None

_BACKPORT = "exceptiongroup"


def next_in_chain(error: BaseException) -> tuple[Optional[BaseException], Optional[Kind]]:
    """What ``error`` came from: its cause, else its context unless that is suppressed."""
    cause = _cause_of(error)
    if cause is not None:
        return cause, "cause"
    if _suppresses_context(error):
        return None, None
    return _context_of(error), "context"


def members_of(error: BaseException) -> tuple[BaseException, ...]:
    """The exceptions of a group (PEP 654), also of one from the package ``exceptiongroup``; () of any other."""
    if _GROUP is not None:
        members: Any = _members_of_group(error) if issubclass(type(error), _GROUP) else ()
    else:
        members = _members_of_backport(error)
    return members if type(members) is tuple else ()


def _members_of_backport(error: BaseException) -> Any:
    if not any(map(_is_backports_group, _mro_of(type(error)))):
        return ()
    try:
        found = object.__getattribute__(error, "_exceptions")
        return tuple(one for one in found if issubclass(type(one), BaseException))
    except failures():
        return ()


def _is_backports_group(cls: type) -> bool:
    return class_name(cls) == "BaseExceptionGroup" and (class_module(cls) or "").partition(".")[0] == _BACKPORT
