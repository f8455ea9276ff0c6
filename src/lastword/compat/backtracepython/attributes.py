"""Attributes and annotations of every report: those of the process and the machine, then those of the program."""

from __future__ import annotations

from typing import Any

from lastword.capture.process import host_info, process_info
from lastword.compat.backtracepython.version import version_string
from lastword.event import HostInfo, ProcessInfo
from lastword.interruption import anything
from lastword.wire.backtrace_attributes import default_attributes

AGENT = "backtrace-python"

_Values = dict[str, Any]

#: The program's own dicts, not copies: what it changes in them later shows in later reports. Later ones win.
_layers: list[Any] = []


class _OwnLayer(dict[str, Any]):
    """Values that were given one by one: a program that does so for each request must not pile up layers."""


def add_layer(values: Any) -> None:
    """Add a dict of the program's own."""
    _layers.append(values)


def add_value(name: str, value: Any) -> None:
    last = _layers[-1] if _layers else None
    if type(last) is _OwnLayer:
        _layers[-1] = _OwnLayer({**last, name: value})  # replaced, since another thread may be reading it
    else:
        _layers.append(_OwnLayer({name: value}))


def of_now() -> tuple[_Values, _Values]:
    """Attributes and annotations as they are now."""
    return merged(process_info(with_status=True), host_info(with_memory=True))


def merged(process: ProcessInfo, host: HostInfo) -> tuple[_Values, _Values]:
    """Attributes and annotations, the defaults those of ``process`` and ``host``. A layer that raises is left out."""
    attributes: _Values = dict(default_attributes(process, host, AGENT, version_string))
    annotations: _Values = {}
    for layer in tuple(_layers):
        items = _items(layer)
        attributes.update({key: value for key, value in items if _is_primitive(value)})
        annotations.update({key: value for key, value in items if not _is_primitive(value)})
    return attributes, annotations


def _items(layer: Any) -> list[tuple[Any, Any]]:
    try:
        return list(layer.items())
    except anything():  # None, or whatever else is no dict
        return []


def _is_primitive(value: Any) -> bool:
    return value is None or issubclass(type(value), (str, int, float))
