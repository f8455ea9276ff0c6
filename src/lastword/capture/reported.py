"""Which exceptions were reported already, so that one that is logged and then ends its thread is reported once.

The marks are kept in a table here, not in the exceptions, and keep no exception alive. A mark identifies its exception
by a weak reference. The interpreter's own classes and those with ``__slots__`` allow none: then the mark holds the
exception's own, empty ``__dict__``, which no other exception can have meanwhile. (An address proves nothing: Python
gives it to the next exception of a loop at once.)

The same object may be raised anew: a constant, the exception of a failed future. Its traceback distinguishes this from
an exception that propagates further. A propagating exception gets more entries in front of its traceback, and the frame
it was reported in ends by raising. The object was raised anew if that frame returned or still runs, if its entry is
gone from the traceback, or if the same place reports it again.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable
from opcode import opmap
from types import FrameType, TracebackType
from typing import Any, NamedTuple, Optional, Union

from lastword.interruption import failures

#: The most exceptions remembered at once; the oldest are forgotten.
MAX_HELD = 1024

#: Up to this many marks are all checked each time.
_FEW = 16

#: The mechanism of exceptions that were reported in the event of their group.
MEMBER = "member of a group"

#: Frames between a generator-based context manager and the frame of its ``with`` block.
_FRAMES_OF_CONTEXTLIB = 3

_RUNS_IN_PARTS = 0x20 | 0x80 | 0x200  # flags of code objects: generators, coroutines, async generators
_RETURNS = frozenset(opmap[name] for name in ("RETURN_VALUE", "RETURN_CONST") if name in opmap)

#: The ``__dict__`` of an exception. A class of the application may have a property of that name.
dict_of = BaseException.__dict__["__dict__"].__get__

_traceback_of = BaseException.__dict__["__traceback__"].__get__


#: An entry of a traceback: the addresses of the entry, its frame and the frame's code, and its instruction. Python
#: reuses these addresses as soon as a traceback is removed (``with_traceback(None)``).
_Entry = tuple[int, int, int, int]

_NO_ENTRY: _Entry = (0, 0, 0, 0)


class _Mark(NamedTuple):
    """The data kept about one reported exception. It holds no part of the traceback."""

    proof: Union[weakref.ref[BaseException], dict[str, Any]]
    pid: int
    mechanism: str
    event_id: str
    outermost: _Entry  # of the traceback: the frame that reported the exception; _NO_ENTRY: it was never raised
    block: _Entry  # of the ``with`` block, if that frame is its context manager
    at: int  # the instruction of that frame

    def is_of(self, error: BaseException) -> bool:
        proof = self.proof
        return proof is dict_of(error) if type(proof) is dict else proof() is error  # type: ignore[operator]


# 0 for classes whose instances allow no weak reference, such as built-in ones: trying to make one costs more than
# everything else here. PyPy allows weak references everywhere and has no such attribute.
_place_of_weakrefs: Any = getattr(type.__dict__.get("__weakrefoffset__"), "__get__", lambda kind: True)

_marks: dict[int, _Mark] = {}  # by the exception's address
_look_at = _FEW  # the number of marks at which all of them are checked


def mark(error: BaseException, mechanism: str, event_id: str) -> None:
    """Remember that ``mechanism`` recorded ``error`` as ``event_id``. Raises nothing.

    An exception that allows no weak reference and has attributes set by the program is not remembered: the mark would
    keep them alive.
    """
    _forget_the_dead()
    address = id(error)
    try:
        proof: Any = weakref.ref(error) if _place_of_weakrefs(type(error)) else None
    except failures(TypeError):
        proof = None
    if proof is None:
        proof = dict_of(error)
        if len(proof) > ("__notes__" in proof):
            return
    outermost, block, at = _place(_traceback_of(error))
    _marks.pop(address, None)
    _marks[address] = _Mark(proof, os.getpid(), mechanism, event_id, outermost, block, at)


def event_of(error: BaseException, mechanism: str) -> Optional[tuple[str, str]]:
    """Return the mechanism that reported ``error`` and the event's id; None if not reported, or raised anew since.

    Only reports of this process count. ``mechanism`` is the one that is about to report.
    """
    known = _marks.get(id(error))
    if known is None or known.pid != os.getpid() or not known.is_of(error):
        return None
    return None if _was_raised_anew(error, known, mechanism) else (known.mechanism, known.event_id)


def event_of_member(error: BaseException) -> Optional[str]:
    """Return the id of the event that already contains ``error``, a member of a group; None if there is none.

    That event may be of ``error`` alone or of another group.
    """
    known = _marks.get(id(error))
    if known is None or known.pid != os.getpid() or not known.is_of(error):
        return None
    # An exception that was not raised cannot have been raised anew.
    anew = _traceback_of(error) is not None and _was_raised_anew(error, known, "")
    return None if anew else known.event_id


def _place(outermost: Optional[TracebackType]) -> tuple[_Entry, _Entry, int]:
    if outermost is None:
        return _NO_ENTRY, _NO_ENTRY, -1
    block, frame = outermost.tb_next, outermost.tb_frame
    if block is not None and frame.f_code.co_flags & _RUNS_IN_PARTS and _is_above(block.tb_frame, frame):
        return _entry(outermost), _entry(block), frame.f_lasti
    return _entry(outermost), _NO_ENTRY, frame.f_lasti


def _entry(entry: TracebackType) -> _Entry:
    frame = entry.tb_frame
    return id(entry), id(frame), id(frame.f_code), entry.tb_lasti


def _is_above(sought: FrameType, frame: FrameType) -> bool:
    caller = frame.f_back
    for _ in range(_FRAMES_OF_CONTEXTLIB):
        if caller is None or caller is sought:
            break
        caller = caller.f_back
    return caller is sought


def _was_raised_anew(error: BaseException, known: _Mark, mechanism: str) -> bool:
    entry: Optional[TracebackType] = _traceback_of(error)
    if entry is None:
        # reported once more, or its traceback was removed; a member is reported with its group
        return known.mechanism != MEMBER or known.outermost != _NO_ENTRY
    if known.outermost == _NO_ENTRY:
        return False  # raised for the first time
    if _entry(entry) == known.outermost:
        return mechanism == known.mechanism and entry.tb_frame.f_lasti == known.at
    while entry is not None:
        found = _entry(entry)
        if found == known.block:  # contextlib removes the entries of its generator
            return False
        if found == known.outermost:
            frame = entry.tb_frame
            return frame.f_code.co_code[frame.f_lasti] in _RETURNS or _is_running(frame)
        entry = entry.tb_next
    return True


def _is_running(sought: FrameType) -> bool:
    """Return whether a frame runs in any thread: another one may have raised the same object at the same time."""
    for innermost in (sys._getframe(), *sys._current_frames().values()):
        frame: Optional[FrameType] = innermost
        while frame is not None and frame is not sought:
            frame = frame.f_back
        if frame is not None:
            return True
    return False


_references_to: Callable[[Any], int] = getattr(sys, "getrefcount", lambda value: 0)


def _references(known: _Mark) -> int:
    return _references_to(known.proof)


#: The number of references to a ``__dict__`` that only its mark still holds.
_ALONE = _references(_Mark({}, 0, "", "", _NO_ENTRY, _NO_ENTRY, 0))


def _is_dead(known: _Mark) -> bool:
    if type(known.proof) is dict:
        return _references(known) == _ALONE
    return known.proof() is None  # type: ignore[operator]


def _forget_the_dead() -> None:
    """Drop the marks of dead exceptions, and the oldest beyond the limit.

    Callbacks of weak references would not do: an exception that a signal handler raises in one is lost.
    """
    global _look_at
    if _FEW < len(_marks) < _look_at:
        return
    for address, known in list(_marks.items()):
        if _is_dead(known):
            _marks.pop(address, None)
    for address in list(_marks)[: max(0, len(_marks) - MAX_HELD + 1)]:
        _marks.pop(address, None)
    _look_at = min(MAX_HELD, 2 * len(_marks))
