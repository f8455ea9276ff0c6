"""Change a framework: call a function when its module is imported, without importing it, and wrap its functions.

While a call is pending, a finder is first in ``sys.meta_path``. It finds nothing itself: it asks the finders after it,
and wraps the loader that they return, which makes the call once the module has been executed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import update_wrapper
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Optional

from lastword import diagnostics
from lastword.capture.safe_text import describe
from lastword.interruption import failures

Function = Callable[..., Any]
Patch = Callable[[ModuleType], None]

_MARK = "__lastword_wraps__"

_waiting: dict[str, Patch] = {}


def wrap(owner: Any, name: str, around: Callable[[Function], Function]) -> None:
    """Replace ``owner.name`` by ``around(owner.name)``, unless that was done before.

    Raises AttributeError if ``owner`` has no ``name``.
    """
    original = getattr(owner, name)
    if not getattr(original, _MARK, False):
        wrapper = update_wrapper(around(original), original)
        setattr(wrapper, _MARK, True)
        setattr(owner, name, wrapper)


def when_imported(name: str, patch: Patch) -> None:
    """Call ``patch`` with the module ``name``: at once if it is loaded, else once the program has imported it.

    Until then, a second call for the same module replaces the first. Exceptions of ``patch`` become a diagnostic note.
    """
    module = sys.modules.get(name)
    if module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False):
        _apply(patch, module)
        return
    _waiting[name] = patch
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def _apply(patch: Patch, module: ModuleType) -> None:
    try:
        patch(module)
    except failures() as trouble:  # another version of the framework; it works as without lastword
        diagnostics.note("integrations", f"errors in {module.__name__} are not reported: {describe(trouble)}")


class _Finder:
    """Finds only the modules for which a call is pending."""

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
    """A wrapper of the module's own loader; it restores that loader before the module's code runs."""

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
        patch = _waiting.pop(module.__name__, None)
        if not _waiting and _finder in sys.meta_path:
            sys.meta_path.remove(_finder)
        if patch is not None:
            _apply(patch, module)


_finder: Any = _Finder()
