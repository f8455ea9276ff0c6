"""The gate: decides whether an event is read at all, from only the exception and where it was raised.

``ignore_errors``: the exceptions not to report, as classes or as names of classes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Optional, Union

from lastword.admission.floods import Fill, Floods
from lastword.config import Config
from lastword.event import Origin
from lastword.interruption import failures

# The descriptors of ``type`` itself: a metaclass of the application may return anything, or raise.
_ancestors_of = type.__dict__["__mro__"].__get__
_name_of = type.__dict__["__name__"].__get__
_qualname_of = type.__dict__["__qualname__"].__get__
_module_of = type.__dict__["__module__"].__get__


def names_of(kind: type) -> tuple[str, str]:
    """Return the bare name of a class, and the dotted one with its module."""
    name, qualname = "".join((_name_of(kind),)), "".join((_qualname_of(kind),))  # makes a subclass of str a plain str
    try:
        module: Any = _module_of(kind)
    except failures(AttributeError):  # the program has deleted it
        module = None
    return name, f"{module}.{qualname}" if type(module) is str else name


#: Levels of nested exception groups that are checked.
_MAX_DEPTH = 50


class Ignored:
    """Recognises exceptions that an ``except`` clause with these classes would catch: of a class or a subclass.

    An exception group counts if the clause would catch each member; ``members_of`` returns the members, () for any
    other exception.
    """

    def __init__(
        self,
        listed: Iterable[Union[type[BaseException], str]],
        members_of: Callable[[BaseException], Any] = lambda _: (),
    ) -> None:
        self._members_of = members_of
        names, classes = [], {}
        for one in listed:
            if type(one) is str:
                names.append(one)
            else:
                classes[id(one)] = one  # by identity: comparing two classes may call their metaclasses
        self._names, self._classes = frozenset(names), classes

    def has(self, error: BaseException) -> bool:
        return bool(self._classes or self._names) and self._has(error, _MAX_DEPTH)

    def _has(self, error: BaseException, levels: int) -> bool:
        if self._lists(type(error)):
            return True
        members = self._members_of(error)
        return bool(members) and levels > 0 and all(self._has(member, levels - 1) for member in members)

    def _lists(self, cls: type) -> bool:
        ancestors = _ancestors_of(cls)
        if any(id(kind) in self._classes for kind in ancestors):
            return True
        return bool(self._names) and any(not self._names.isdisjoint(names_of(kind)) for kind in ancestors)


IGNORED, SAMPLED, FLOOD = "ignored", "sampled", "flood"


class Decision(NamedTuple):
    """``refused`` is the reason under which a refused event is counted; None: it is admitted.

    ``left_out`` goes with an event that is admitted after others of its origin were refused (see ``event.FLOOD_TAG``);
    ``remark`` is for the user, if the refusal may come as a surprise.
    """

    refused: Optional[str] = None
    left_out: str = ""
    remark: str = ""


_ADMITTED = Decision()


def draw() -> float:
    """Return a random number in [0, 1), from the kernel, so that forked children differ without a hook."""
    return (int.from_bytes(os.urandom(7), "big") >> 3) * 2.0**-53


class Gate:
    """Applies ``ignore_errors``, ``sample_rate`` and ``flood_burst``, in this order.

    Attributes:
        floods: the state of all origins so far; another gate may continue with it.
    """

    def __init__(
        self,
        config: Config,
        draw: Callable[[], float] = draw,
        fill: Fill = lambda _: 0.0,
        members_of: Callable[[BaseException], Any] = lambda _: (),
    ) -> None:
        self.floods = Floods()
        self._ignored = Ignored(config.ignore_errors, members_of)
        self._sample_rate = config.sample_rate
        self._burst = config.flood_burst
        self._draw = draw
        self._fill = fill

    def decide(
        self, error: Optional[BaseException], origin: Origin, now: float, *, last_words: bool = False
    ) -> Decision:
        """Decide whether the event of ``error``, or of a message (None), that comes from ``origin`` is read.

        ``now`` is in Unix seconds. An event that was ignored or sampled out does not count in a flood; ``last_words``,
        which report why the process ends, are never left out in one.
        """
        if error is not None and self._ignored.has(error):
            return Decision(IGNORED)
        if self._sample_rate < 1.0 and self._draw() >= self._sample_rate:
            return Decision(SAMPLED)
        if self._burst == 0:
            return _ADMITTED
        passage = self.floods.pass_through(origin, self._burst, now, self._fill, always=last_words)
        if passage.admitted:
            return Decision(left_out=passage.left_out) if passage.left_out else _ADMITTED
        return Decision(FLOOD, remark=self._remark(origin) if passage.first else "")

    def _remark(self, origin: Origin) -> str:
        place = f"{origin.kind} at {origin.file}:{origin.line}"
        if self._burst is None:
            return f"{place}: so many, while the spool fills up, that some are left out, and counted"
        return f"{place}: more than {self._burst} at once, so that one a second is kept and the others are counted"
