"""Capture: read the state of the live interpreter into an Event.

Once this package is loaded, its code takes no lock, starts no thread, opens no socket, imports nothing, and raises no
``Exception`` into its caller: parts that cannot be read are left out of the event. Application code runs in five
places only, each guarded: ``str(exception)``, a module loader asked for its source, ``str(value)`` of values that the
program passes to ``add_breadcrumb``, ``set_user`` and similar functions, the text of its log records and warnings,
and ``repr(value)`` of classes that it names in ``repr_of``.
"""

from __future__ import annotations

from lastword.capture.settings import CaptureSettings

__all__ = ["CaptureSettings"]
