"""Slots where Python keeps a hook function that any code may replace by one that calls the previous one.

A hook that other code has installed above ours cannot be removed by us: it stays, and ours becomes a mere link of the
chain, which calls the previous hook and reports nothing.

Programs check whether a hook is still Python's own (``sys.excepthook is sys.__excepthook__``), and print something else
if it is not. So if our hook directly replaces Python's own, it also replaces the attribute that names Python's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional

from lastword import diagnostics
from lastword.capture.safe_text import describe
from lastword.interruption import failures

Hook = Callable[..., Any]


class Link:
    """One hook of ours in one chain of hooks.

    Attributes:
        previous: the hook that was there before.
        listener: the function called with the hook's arguments; None if the hook is switched off.
    """

    def __init__(self, previous: Hook) -> None:
        self.previous = previous
        self.listener: Optional[Hook] = None


def report_first(link: Link) -> Hook:
    """Return a hook that calls its listener and then always the previous hook, with the same arguments."""

    def hook(*arguments: Any, **options: Any) -> None:
        try:
            listener = link.listener
            if listener is not None:
                listener(*arguments, **options)
        except failures() as own:
            diagnostics.note("hook", f"what a hook was told was not reported: {describe(own)}")
        finally:
            link.previous(*arguments, **options)

    return hook


class HookSlot:
    """One slot: the attribute ``name`` of ``owner``, a module or a class.

    ``chain`` makes our hook function from its link; ``own`` is the attribute that names Python's own function, if any.
    """

    def __init__(self, owner: Any, name: str, chain: Callable[[Link], Hook] = report_first, own: str = "") -> None:
        self._owner = owner
        self._name = name
        self._chain = chain
        self._own = own
        self._passes_for_own: Optional[tuple[Hook, Hook]] = None  # our hook, and Python's own
        self._link: Optional[Link] = None
        self._hook: Optional[Hook] = None
        self._inherited = False

    def install(self, listener: Hook) -> None:
        """Call ``listener``, and no earlier listener, from now on; repeated calls are safe."""
        if self._link is None or not self._is_on_top():
            # A later hook may or may not call ours. A new one goes on top, and our old one is switched off for good.
            self._silence()
            self._inherited = self._name not in vars(self._owner)
            self._link = Link(getattr(self._owner, self._name))
            self._hook = self._chain(self._link)
            setattr(self._owner, self._name, self._hook)
            self._pass_for_own(self._hook, self._link.previous)
        self._link.listener = listener

    def uninstall(self) -> None:
        """Stop calling the listener, and restore the previous hook if no other hook was installed since."""
        if self._link is not None and self._is_on_top():
            if self._inherited:
                delattr(self._owner, self._name)
            else:
                setattr(self._owner, self._name, self._link.previous)
        if self._passes_for_own and getattr(self._owner, self._own, None) is self._passes_for_own[0]:
            setattr(self._owner, self._own, self._passes_for_own[1])
        self._passes_for_own = None
        self._silence()

    def _pass_for_own(self, hook: Hook, previous: Hook) -> None:
        if self._own and getattr(self._owner, self._own, None) is previous:
            self._passes_for_own = hook, previous
            setattr(self._owner, self._own, hook)

    def _is_on_top(self) -> bool:
        return vars(self._owner).get(self._name) is self._hook

    def _silence(self) -> None:
        if self._link is not None:
            self._link.listener = None
        self._link = self._hook = None
