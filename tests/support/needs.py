"""The two ways a test may say that it cannot run everywhere. No other skip passes on CI.

``LASTWORD_REQUIRE_ALL=1`` (set by ``.ci/run``) turns every skip into a failure, so that a machine on which something
was not installed cannot look green. The one exception is ``capability``.
"""

from __future__ import annotations

import importlib.util

import pytest


def installed(*modules: str) -> pytest.MarkDecorator:
    """Skip where a module is missing that could be installed; on CI that is a failure.

    >>> @needs.installed("gunicorn", "celery")
    """
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def capability(has_it: bool, what: str) -> pytest.MarkDecorator:
    """Skip where this interpreter or operating system can never have ``what``; on CI too.

    >>> @needs.capability(hasattr(os, "pidfd_open"), "os.pidfd_open")
    """
    return pytest.mark.capability(has_it, what)
