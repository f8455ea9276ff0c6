"""multiprocessing: what ends a child process. It prints that by itself, and ``sys.excepthook`` never hears of it.

Children that begin as a new interpreter (spawn, forkserver) are heard where ``install`` is called there, too.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from lastword import sdk
from lastword.integrations.on_import import when_imported
from lastword.integrations.reporting import traceback_inside
from lastword.integrations.wrapping import Function, wrap

MECHANISM = "multiprocessing"


def install() -> None:
    """Whoever is ``sdk.current_client`` when a child fails reports it."""
    when_imported("multiprocessing.process", _hear)


def _hear(module: ModuleType) -> None:
    def around(original: Function) -> Function:
        def _bootstrap(self: Any, *arguments: Any, **options: Any) -> Any:
            self.run = _Reporting(self.run)  # of the instance: a subclass has a run of its own
            return original(self, *arguments, **options)

        return _bootstrap

    wrap(module.BaseProcess, "_bootstrap", around)


class _Reporting:
    """``run``, and a report of what it raises."""

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
