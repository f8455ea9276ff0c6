"""Set up children that ``multiprocessing`` spawns, directly or by a fork server, like their parent.

A process passes a copy of ``current_process()._config`` to each child that it makes, with any class of any library, and
so on to grandchildren. Our entry in it sets the child up when it is unpickled, which happens after the child has loaded
the main module and before it does anything else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from lastword import diagnostics
from lastword.capture.safe_text import describe
from lastword.interruption import failures

_KEY = "lastword: "
_LOADED_BEHIND_PROCESS = "multiprocessing.reduction"


def carry(name: str, begin: Callable[..., object], *arguments: object) -> None:
    """Have ``begin(*arguments)`` called in each spawned child; the last call for a ``name`` counts.

    ``begin`` is a module-level function. If something cannot be pickled, this is noted when a child is started, and the
    child starts without it. multiprocessing is not imported for this.
    """
    _carried[_KEY + name] = _Carrier(name, begin, arguments)
    _place()
    if _waiting not in sys.meta_path:
        sys.meta_path.insert(0, _waiting)


def drop(name: str) -> None:
    """Stop calling the function of ``name`` in children."""
    _carried.pop(_KEY + name, None)
    try:
        _config().pop(_KEY + name, None)
    except failures() as error:
        _note(error)
    if not _carried and _waiting in sys.meta_path:
        sys.meta_path.remove(_waiting)


class _Carrier:
    def __init__(self, name: str, begin: Callable[..., object], arguments: tuple[object, ...]) -> None:
        self._name = name
        self._call = begin, arguments

    def __reduce__(self) -> Any:
        try:
            packed = _pickle().dumps(self._call)
        except failures() as error:
            _note(error)
            packed = b""
        return _begun, (self._name, packed)


class _Packed:
    """The data that a child received, for its own children."""

    def __init__(self, *packed: object) -> None:
        self._packed = packed

    def __reduce__(self) -> Any:
        return _begun, self._packed


def _begun(name: str, packed: bytes) -> _Packed:
    """Call the carried function, in the child. Catches its exceptions, which would end the child."""
    try:
        if packed:
            begin, arguments = _pickle().loads(packed)
            begin(*arguments)
    except failures() as error:
        _note(error)
    return _Packed(name, packed)


class _Waiting:
    """An import finder that finds nothing: it only notices when multiprocessing has made its process object."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == _LOADED_BEHIND_PROCESS:
            _place()


def _place() -> None:
    try:
        _config().update(_carried)
    except failures() as error:
        _note(error)


def _config() -> dict[str, Any]:
    process: Any = sys.modules.get("multiprocessing.process")
    config: dict[str, Any] = process.current_process()._config if hasattr(process, "current_process") else {}
    return config


def _pickle() -> Any:
    return sys.modules["pickle"]  # multiprocessing has imported it


def _note(error: BaseException) -> None:
    diagnostics.note(
        "multiprocessing", f"processes that multiprocessing starts anew are not set up like this one: {describe(error)}"
    )


_carried: dict[str, _Carrier] = {}
_waiting: Any = _Waiting()
