"""Capture: the live interpreter, read into an Event.

Nothing here takes a lock, starts a thread, opens a socket or imports anything once this package is loaded, and nothing
raises an ``Exception`` into its caller: what cannot be read is left out of the event. Application code runs in five
places only, each guarded: ``str(exception)``, a module loader asked for its source, ``str(value)`` of what the
program itself hands to ``add_breadcrumb``, ``set_user`` and their like, the text of what it logs or warns
of, and ``repr(value)`` of classes that it names in ``repr_of``.
"""

from __future__ import annotations

from lastword.capture.settings import CaptureSettings

__all__ = ["CaptureSettings"]
