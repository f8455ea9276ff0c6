"""Admission: what keeps an event from the disk because the user wants it so.

In the order in which they act: ``ignore_errors``, ``sample_rate`` and ``flood_burst`` before anything is read (`Gate`),
``before_send`` on the scrubbed event, as the last thing before it is encoded (`BeforeSend`). What is turned away here
has touched no file; only its number is kept, by reason.

Nothing here takes a lock or keeps anything over a fork.
"""

from __future__ import annotations

from lastword.admission.before_send import BeforeSend
from lastword.admission.floods import Floods
from lastword.admission.gate import Decision, Gate

__all__ = ["BeforeSend", "Decision", "Floods", "Gate"]
