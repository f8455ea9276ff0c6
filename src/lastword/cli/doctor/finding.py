"""One thing that ``lastword doctor`` looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: ``ok``: as it should be; ``note``: worth knowing; ``problem``: events are lost, late or in danger of it.
Kind = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and what to do about it; a problem always has a ``remedy``."""

    kind: Kind
    about: str
    text: str
    remedy: str = ""
