"""The gate: whether an event is to be read at all. It knows no more than the exception and where it was raised.

``ignore_errors``: the classes of exceptions that are not to be reported, themselves or by their names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Optional, Union

from lastword.admission.floods import Fill, Floods
from lastword.config import Config
from lastword.event import Origin
from lastword.interruption import failures

# The descriptors of ``type`` itself: a metaclass of the application may say anything, or raise.
_ancestors_of = type.__dict__["__mro__"].__get__
_name_of = type.__dict__["__name__"].__get__
_qualname_of = type.__dict__["__qualname__"].__get__
_module_of = type.__dict__["__module__"].__get__


def names_of(kind: type) -> tuple[str, str]:
    """The bare name of a class, and the dotted one with its module."""
    name, qualname = "".join((_name_of(kind),)), "".join((_qualname_of(kind),))  # of a subclass of str, the text itself
    try:
        module: Any = _module_of(kind)
    except failures(AttributeError):  # the program has deleted it
        module = None
    return name, f"{module}.{qualname}" if type(module) is str else name


#: Groups in groups, of one that is ignored.
_MAX_DEPTH = 50


class Ignored:
    """Recognises what an ``except`` clause with these classes would catch: an exception of a class or a subclass.

    A group too, of which it would catch each member; ``members_of`` gives these, () for what is no group.
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
                classes[id(one)] = one  # by identity: comparing two classes may ask their metaclasses
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
    """``refused`` is the reason to count an event under; None: it is admitted.

    ``left_out`` is for the event that is admitted after others like it were not (see ``event.FLOOD_TAG``);
    ``remark`` is for the user, where the refusal may come as a surprise.
    """

    refused: Optional[str] = None
    left_out: str = ""
    remark: str = ""


_ADMITTED = Decision()


def draw() -> float:
    """A random number of [0, 1). From the kernel, so that forked children differ without a hook."""
    return (int.from_bytes(os.urandom(7), "big") >> 3) * 2.0**-53


class Gate:
    """Applies ``ignore_errors``, ``sample_rate`` and ``flood_burst``, in this order.

    Attributes:
        floods: what is known of the events so far; another gate may go on with it.
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
        """Whether the event of ``error``, or of a message (None), that comes from ``origin`` is to be read.

        ``now`` is in Unix seconds. An event that was ignored or sampled out takes no part in a flood; ``last_words``,
        which tell why the process ends, are never left out of one.
        """
        if error is not None and self._ignored.has(error):
            return Decision(IGNORED)
        if self._sample_rate < 1.0 and self._draw() >= self._sample_rate:
            return Decision(SAMPLED)
        if self._burst == 0:
            return _ADMITTED
        passage = self.floods.pass_through(origin, self._burst, now, self._fill, always=last_words)
        if passage.admitted:
            return Decision(left_out=passage.told) if passage.told else _ADMITTED
        return Decision(FLOOD, remark=self._remark(origin) if passage.first else "")

    def _remark(self, origin: Origin) -> str:
        place = f"{origin.kind} at {origin.file}:{origin.line}"
        if self._burst is None:
            return f"{place}: so many, while the spool fills up, that some are left out, and counted"
        return f"{place}: more than {self._burst} at once, so that one a second is kept and the others are counted"
