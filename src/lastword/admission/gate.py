"""The gate: whether an event is to be read at all. It knows no more than the exception and where it was raised."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple, Optional

from lastword.admission.floods import Fill, Floods
from lastword.admission.ignore import Ignored
from lastword.config import Config
from lastword.event import Origin

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
