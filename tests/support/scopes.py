"""Looking at what a program says of its work."""

from __future__ import annotations

import contextvars
from typing import Any, Callable

from lastword.scope import breadcrumbs


def crumbs() -> list[str]:
    """The messages of the breadcrumbs of this context."""
    return [crumb["message"] for crumb in breadcrumbs.current()]


def in_new_context(run: Callable[[], Any]) -> Any:
    """What ``run`` returns in a context in which nothing was set."""
    return contextvars.Context().run(run)
