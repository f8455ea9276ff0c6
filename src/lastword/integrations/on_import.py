"""To be told when a module is imported, without importing it.

A finder stands in front of ``sys.meta_path`` as long as somebody waits. It finds nothing itself: it asks the finders
behind it, and has what they find tell us once the module has run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Optional

from lastword import diagnostics
from lastword.capture.safe_text import describe
from lastword.interruption import failures

Told = Callable[[ModuleType], None]

_waiting: dict[str, Told] = {}


def when_imported(name: str, told: Told) -> None:
    """Call ``told`` with the module ``name``: at once where it is there, else as soon as the program has imported it.

    Of several calls for one module that is not there yet, the last counts. What ``told`` raises is noted.
    """
    module = sys.modules.get(name)
    if module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False):
        _tell(told, module)
        return
    _waiting[name] = told
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def _tell(told: Told, module: ModuleType) -> None:
    try:
        told(module)
    except failures() as trouble:  # another version of the framework: it works as it would without us
        diagnostics.note("integrations", f"errors in {module.__name__} are not heard of: {describe(trouble)}")


class _Finder:
    """Stands aside for every module that nobody waits for."""

    def find_spec(
        self, name: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        if name not in _waiting:
            return None
        for finder in sys.meta_path:
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec: Optional[ModuleSpec] = find(name, path, target) if find is not None else None
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
                return spec
        return None


class _Loader:
    """The module's own loader, which it has again before anybody else sees it."""

    def __init__(self, own: Any) -> None:
        self._own = own

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)

    def create_module(self, spec: ModuleSpec) -> Optional[ModuleType]:
        return self._own.create_module(spec)  # type: ignore[no-any-return]

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._own
        module.__loader__ = self._own
        self._own.exec_module(module)
        told = _waiting.pop(module.__name__, None)
        if not _waiting and _finder in sys.meta_path:
            sys.meta_path.remove(_finder)
        if told is not None:
            _tell(told, module)


_finder: Any = _Finder()
