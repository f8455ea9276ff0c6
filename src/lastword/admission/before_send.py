"""``before_send``: the user's hook gets each event before it is recorded, and may change or drop it."""

from __future__ import annotations

from collections.abc import Callable
from types import CoroutineType
from typing import Any, Optional, cast

from lastword import diagnostics
from lastword.admission.gate import names_of
from lastword.admission.shape import Misfit, mended, shape_of
from lastword.errors import RecordRefused
from lastword.event import BEFORE_SEND_TAG, Event
from lastword.interruption import anything
from lastword.nesting import Nesting

REASON = "before_send"

#: A hook that captures gets those events as well, but events captured from there are refused: it would never end.
MAX_DEPTH = 2

#: Characters of the tag that lists the parts of its event that were left out.
_MOST_SHOWN = 500

_hooks = Nesting()


class BeforeSend:
    """Calls the hook and makes sure that its result is an event."""

    def __init__(self, hook: Callable[[Any], Any]) -> None:
        self._hook = hook
        self._fit = shape_of(Event)  # here and not at import: it takes a millisecond

    def apply(self, event: Event) -> Optional[Event]:
        """Return the hook's version of ``event``, which it may change in place; None if the hook drops the event.

        The id stays the same, and so does the time if the hook gives none. Parts that do not fit are left out, and a
        tag says so. Raises RecordRefused if the hook raises, or returns something other than an event.
        """
        event_id, captured_at = event["id"], event["timestamp"]
        returned = self.call(event)
        if returned is None:
            return None
        try:
            if type(returned) is CoroutineType:
                returned.close()  # else Python warns on standard error that it was never awaited
                raise Misfit("is a coroutine: before_send cannot be async")
            fitted, misfits = mended(self._fit, returned, {"timestamp": captured_at})
        except Misfit as misfit:
            raise RecordRefused(REASON, f"what before_send returned is no event: {misfit}") from None
        except anything() as error:  # raised by a part of it
            raise RecordRefused(REASON, f"what before_send returned raised {names_of(type(error))[1]}") from None
        if misfits:
            problems = "; ".join(misfits)[:_MOST_SHOWN]
            fitted["tags"][BEFORE_SEND_TAG] = f"left out or replaced: {problems}"
            diagnostics.note(f"{REASON} misfit", f"of what before_send returned something was left out: {problems}")
        fitted["id"], fitted["timestamp"] = event_id, fitted["timestamp"] or captured_at
        return cast("Event", fitted)

    @_hooks.counts
    def call(self, event: Any) -> Any:
        """Return the hook's result, unchecked. Raises RecordRefused if the hook raises."""
        depth = _hooks.level
        if depth >= MAX_DEPTH:
            raise RecordRefused(REASON, "it was captured by before_send itself, over and over")
        _hooks.level = depth + 1
        try:
            return self._hook(event)
        except anything() as error:
            raise RecordRefused(REASON, f"before_send raised {names_of(type(error))[1]}") from None
        finally:
            _hooks.level = depth
