"""The attributes of a Backtrace report: scalars by which the tracker searches, groups and counts reports."""

from __future__ import annotations

import hashlib
from typing import Any, Union

from lastword.event import LOGGED, Event, HostInfo, ProcessInfo
from lastword.version import __version__
from lastword.wire.json_text import encode

AGENT = "lastword"

Scalar = Union[str, int, float, bool, None]

#: /proc/meminfo, in the kernel's order.
_MEMORY_ATTRIBUTES = {
    "MemTotal": "system.memory.total",
    "MemFree": "system.memory.free",
    "MemAvailable": "system.memory.available",
    "Buffers": "system.memory.buffers",
    "Cached": "system.memory.cached",
    "SwapCached": "system.memory.swap.cached",
    "Active": "system.memory.active",
    "Inactive": "system.memory.inactive",
    "SwapTotal": "system.memory.swap.total",
    "SwapFree": "system.memory.swap.free",
    "Dirty": "system.memory.dirty",
    "Writeback": "system.memory.writeback",
    "Slab": "system.memory.slab",
    "VmallocTotal": "system.memory.vmalloc.total",
    "VmallocUsed": "system.memory.vmalloc.used",
    "VmallocChunk": "system.memory.vmalloc.chunk",
}

#: /proc/self/status, in the kernel's order.
_STATUS_ATTRIBUTES = {
    "FDSize": "descriptor.count",
    "VmPeak": "vm.vma.peak",
    "VmSize": "vm.vma.size",
    "VmLck": "vm.locked.size",
    "VmHWM": "vm.rss.peak",
    "VmRSS": "vm.rss.size",
    "VmData": "vm.data.size",
    "VmStk": "vm.stack.size",
    "VmLib": "vm.shared.size",
    "VmPTE": "vm.pte.size",
    "VmSwap": "vm.swap.size",
    "voluntary_ctxt_switches": "sched.cs.voluntary",
    "nonvoluntary_ctxt_switches": "sched.cs.involuntary",
}

_DEFAULT_GROUPING = "{{ default }}"


def attributes(event: Event) -> dict[str, Scalar]:
    attributes = default_attributes(event["process"], event["host"], AGENT, __version__)
    attributes.update(_more_of_the_process(event))
    attributes.update(_chosen_by_the_program(event))
    attributes["error.type"], attributes["error.message"] = _error(event)
    return attributes


def default_attributes(process: ProcessInfo, host: HostInfo, agent: str, version: str) -> dict[str, Scalar]:
    """Return the attributes that the released package sends for every process, under its names."""
    attributes: dict[str, Scalar] = {
        "application": process["name"],
        "process.id": process["pid"],
        "hostname": host["hostname"],
        "process.age": int(process["age"]),
    }
    attributes.update(_renamed(host["memory"], _MEMORY_ATTRIBUTES))
    attributes.update(_renamed(process["status"], _STATUS_ATTRIBUTES))
    attributes.update(
        {
            "guid": host["machine_id"],
            "backtrace.agent": agent,
            "backtrace.version": version,
            "uname.sysname": "Mac OS" if host["sysname"] == "Darwin" else host["sysname"],
            "uname.version": host["version"],
            "uname.release": host["release"],
            "application.session": process["session"],
            "cpu.arch": host["machine"],
            "cpu.brand": "",  # Python's platform.processor(), which is empty on most Linux systems and starts a process
        }
    )
    return attributes


def _renamed(figures: dict[str, int], names: dict[str, str]) -> dict[str, int]:
    return {attribute: figures[name] for name, attribute in names.items() if name in figures}


def _more_of_the_process(event: Event) -> dict[str, Scalar]:
    """Return those attributes of the process that the event has; events of an older lastword have fewer."""
    process: dict[str, Any] = {**event["process"]}
    return {f"process.{name}": process[name] for name in ("parent", "role", "command") if process.get(name)}


def _chosen_by_the_program(event: Event) -> dict[str, Scalar]:
    chosen: dict[str, Scalar] = {"environment": event["environment"], "release": event["release"]}
    chosen = {name: value for name, value in chosen.items() if value}
    chosen["level"] = event["level"]
    user = event["user"] or {}
    chosen.update({f"user.{key}": value for key, value in user.items() if is_scalar(value)})
    logged = event["contexts"].get(LOGGED, {})
    chosen.update({f"{LOGGED}.{key}": value for key, value in logged.items() if is_scalar(value)})
    chosen.update({key: value for key, value in event["extra"].items() if is_scalar(value)})
    if event["transaction"]:
        chosen["transaction"] = event["transaction"]
    chosen.update(event["tags"])
    if event["fingerprint"] and _DEFAULT_GROUPING not in event["fingerprint"]:
        parts = encode(event["fingerprint"], large_integers_as_text=True)
        chosen["_mod_fingerprint"] = hashlib.sha256(parts).hexdigest()
    return chosen


def is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float))


def _error(event: Event) -> tuple[str, str]:
    """Return the values of ``error.type`` and ``error.message``."""
    if not event["exceptions"]:
        return "Message", event["message"] or ""
    return "Exception" if event["handled"] else "Unhandled exception", event["exceptions"][0]["value"]
