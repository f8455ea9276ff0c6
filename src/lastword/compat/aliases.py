"""Make ``import booboo`` and ``import backtracepython`` import the drop-ins, for code that cannot be edited."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Optional

from lastword.errors import ConfigError
from lastword.hooks import spawned_children

_CARRIED = "compat"
_HOME = "lastword.compat"

#: The packages that have a drop-in.
PACKAGES = ("backtracepython", "booboo")


def install(*packages: str) -> None:
    """Make every later ``import`` of these packages, and of their modules, import lastword's drop-ins.

    The packages themselves need not be installed. A module that has imported one of them before keeps it, so call this
    first in a program. It also applies in children, forked ones and those that multiprocessing starts as new
    interpreters; for any other Python use ``lastword run``.

    Args:
        packages: names from ``PACKAGES``; without any, all of them.

    Raises:
        ConfigError: there is no drop-in of that name.
    """
    wanted = packages or PACKAGES
    for package in wanted:
        if package not in PACKAGES:
            raise ConfigError(f"there is no drop-in for {package!r}, only for {' and '.join(PACKAGES)}")
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    for package in wanted:
        _finder.add(package, f"{_HOME}.{package}")
    spawned_children.carry(_CARRIED, install, *installed())


def uninstall() -> None:
    """Undo ``install`` for later imports. A module that has imported a drop-in keeps it."""
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    _finder.remove_all()
    spawned_children.drop(_CARRIED)


def installed() -> tuple[str, ...]:
    """Return the packages that ``install`` was called for."""
    return tuple(_finder.targets)


class _Aliases:
    """A finder on ``sys.meta_path`` that gives a module a second name; both names refer to the same object.

    Attributes:
        targets: name of a package → name of the package imported in its place.
    """

    def __init__(self) -> None:
        self.targets: dict[str, str] = {}
        self._displaced: dict[str, ModuleType] = {}

    def add(self, package: str, target: str) -> None:
        if package not in self.targets:
            self.targets[package] = target
            self._displaced.update(_take_out(package))

    def remove_all(self) -> None:
        for package in self.targets:
            _take_out(package)
        sys.modules.update(self._displaced)
        self.targets.clear()
        self._displaced.clear()

    def find_spec(
        self, name: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        package, _, rest = name.partition(".")
        if package not in self.targets:
            return None
        loader: Any = _Loader(f"{self.targets[package]}.{rest}".rstrip("."), self)
        return ModuleSpec(name, loader, is_package=not rest)

    def name_loaded_modules(self) -> None:
        """Enter each loaded module of a target under its second name, so that importing it does not reach this finder.

        Such an import would set the package's attribute: ``booboo._client`` is both a module and a variable.
        """
        for package, target in self.targets.items():
            if package in sys.modules:
                for name in [name for name in sys.modules if name.startswith(target + ".")]:
                    sys.modules.setdefault(package + name[len(target) :], sys.modules[name])


class _Loader:
    def __init__(self, target: str, aliases: _Aliases) -> None:
        self._target = target
        self._aliases = aliases
        self._spec: Any = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._target)
        self._spec = module.__spec__  # the import is about to replace it
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec
        self._aliases.name_loaded_modules()


def _take_out(package: str) -> dict[str, ModuleType]:
    """Remove a package and its modules from ``sys.modules``; return them."""
    names = [name for name in sys.modules if name == package or name.startswith(package + ".")]
    return {name: sys.modules.pop(name) for name in names}


_finder = _Aliases()
