"""Drop-ins: the calls and payloads of other packages, on top of lastword. A program changes at most one import."""

from __future__ import annotations

from lastword.compat.aliases import install, uninstall

__all__ = ["install", "uninstall"]
