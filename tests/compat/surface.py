"""What a package offers by name, read from the package itself, and what each of its calls takes."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple


class Call(NamedTuple):
    """A function, a class or a public method: where it stands in its package, and its name, as in ``Class.method``."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}:{self.name}"

    def of(self, package: str) -> Callable[..., Any]:
        found: Any = importlib.import_module(package + self.module)
        for part in self.name.split("."):
            found = getattr(found, part)
        return found  # type: ignore[no-any-return]


def modules_of(package: str) -> list[str]:
    """Of the package itself, "", and of every module in it, as in ``.client``."""
    walked = pkgutil.walk_packages(importlib.import_module(package).__path__, package + ".")
    return ["", *(module.name[len(package) :] for module in walked)]


def calls_of(package: str) -> list[Call]:
    """All whose names have no underscore before them, in the modules that define them and in the package itself; none
    where the package is not installed.
    """
    if importlib.util.find_spec(package) is None:
        return []
    return [call for module in modules_of(package) for call in _calls_of_module(package, module)]


def _calls_of_module(package: str, module: str) -> Iterator[Call]:
    for name, value in vars(importlib.import_module(package + module)).items():
        home = str(getattr(value, "__module__", ""))
        is_theirs = home == package + module if module else home.startswith(package)
        if name.startswith("_") or not callable(value) or not is_theirs:
            continue
        yield Call(module, name)
        if inspect.isclass(value):
            for method in dir(value):
                if not method.startswith("_") and callable(getattr(value, method)):
                    yield Call(module, f"{name}.{method}")


def parameters(call: Callable[..., Any]) -> list[tuple[str, Any, str]]:
    """Names, kinds and defaults as they read; None stands for an empty list or dict, which is no default to share."""
    found = inspect.signature(call).parameters.values()
    return [(one.name, one.kind, repr(None if one.default in ([], {}) else one.default)) for one in found]
