"""Admission: the user's options that keep an event from the disk.

In the order in which they act: ``ignore_errors``, ``sample_rate`` and ``flood_burst`` before anything is read (`Gate`),
``before_send`` on the scrubbed event, last before it is encoded (`BeforeSend`). Events refused here touch no file; only
their number is kept, by reason.

Nothing here takes a lock or keeps state across a fork.
"""

from __future__ import annotations

from lastword.admission.before_send import BeforeSend
from lastword.admission.floods import Floods
from lastword.admission.gate import Decision, Gate

__all__ = ["BeforeSend", "Decision", "Floods", "Gate"]
