"""The attributes and annotations of every report: of the process and the machine, then the program's own."""

from __future__ import annotations

from typing import Any

from lastword.capture.process import host_info, process_info
from lastword.compat.backtracepython.version import version_string
from lastword.event import HostInfo, ProcessInfo
from lastword.interruption import anything
from lastword.wire.backtrace_attributes import default_attributes

AGENT = "backtrace-python"

_Values = dict[str, Any]

#: The program's own dicts, not copies: later changes in them appear in later reports. Later dicts take precedence.
_layers: list[Any] = []


class _OwnLayer(dict[str, Any]):
    """Values added one by one, in one layer, so that a program that adds some per request does not pile up layers."""


def add_layer(values: Any) -> None:
    """Add a dict that belongs to the program."""
    _layers.append(values)


def add_value(name: str, value: Any) -> None:
    last = _layers[-1] if _layers else None
    if type(last) is _OwnLayer:
        _layers[-1] = _OwnLayer({**last, name: value})  # replaced, because another thread may be reading it
    else:
        _layers.append(_OwnLayer({name: value}))


def of_now() -> tuple[_Values, _Values]:
    """Return the current attributes and annotations."""
    return merged(process_info(with_status=True), host_info(with_memory=True))


def merged(process: ProcessInfo, host: HostInfo) -> tuple[_Values, _Values]:
    """Return attributes and annotations, with defaults from ``process`` and ``host``; skip a layer that raises."""
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
    except anything():  # None, or anything else that is not a dict
        return []


def _is_primitive(value: Any) -> bool:
    return value is None or issubclass(type(value), (str, int, float))
