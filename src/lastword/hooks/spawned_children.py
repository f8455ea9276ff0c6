"""Children that ``multiprocessing`` starts anew, by spawn or a fork server, are set up like their parent.

A process hands a copy of ``current_process()._config`` to each child that it makes, by whatever class of whatever
library, and so on to grandchildren. What lies in there for us sets the child up by being unpickled, which happens after
the child has loaded the main module and before it does anything else.
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
    """Have ``begin(*arguments)`` called in each child that is started anew; the last call for a ``name`` counts.

    ``begin`` is a function of a module. What cannot be pickled is noted when a child is started, which then is started
    without. multiprocessing is not imported for this.
    """
    _carried[_KEY + name] = _Carrier(name, begin, arguments)
    _place()
    if _waiting not in sys.meta_path:
        sys.meta_path.insert(0, _waiting)


def drop(name: str) -> None:
    """Carry no more to children what was carried by that name."""
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
    """What a child got, for its own children."""

    def __init__(self, *packed: object) -> None:
        self._packed = packed

    def __reduce__(self) -> Any:
        return _begun, self._packed


def _begun(name: str, packed: bytes) -> _Packed:
    """Runs in the child. Whatever it raised would end the child."""
    try:
        if packed:
            begin, arguments = _pickle().loads(packed)
            begin(*arguments)
    except failures() as error:
        _note(error)
    return _Packed(name, packed)


class _Waiting:
    """A finder that finds nothing: it is told when multiprocessing has made the process that it is in."""

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
