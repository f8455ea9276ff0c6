"""multiprocessing: report exceptions that end a child process; it prints these without calling ``sys.excepthook``.

In children that start as a new interpreter (spawn, forkserver), ``install`` must be called, too.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from lastword import sdk
from lastword.integrations.patching import Function, when_imported, wrap
from lastword.integrations.reporting import traceback_inside

MECHANISM = "multiprocessing"


def install() -> None:
    """Have the ``sdk.current_client`` of the child report the exception that ends it."""
    when_imported("multiprocessing.process", _patch)


def _patch(module: ModuleType) -> None:
    def around(original: Function) -> Function:
        def _bootstrap(self: Any, *arguments: Any, **options: Any) -> Any:
            self.run = _Reporting(self.run)  # on the instance, because a subclass overrides run
            return original(self, *arguments, **options)

        return _bootstrap

    wrap(module.BaseProcess, "_bootstrap", around)


class _Reporting:
    """Call ``run``, and report the exception that it raises."""

    def __init__(self, run: Function) -> None:
        self._run = run

    def __call__(self) -> None:
        try:
            self._run()
        except Exception as error:
            client = sdk.current_client()
            if client is not None:
                client.report(error, traceback_inside(error), MECHANISM, handled=False, level="fatal")
            raise
