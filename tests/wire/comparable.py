"""Requests, theirs and ours, without what differs between two runs of the same program."""

from __future__ import annotations

import json
from typing import Any

#: The recorder writes it anew for each situation.
RECORDING_PROGRAM = "/app/program.py"

#: Added by the HTTP library, not by the package.
LIBRARY_HEADERS = {"host", "user-agent", "accept-encoding", "accept", "connection", "content-length"}

#: Attributes whose text depends on the machine or on who sends.
MACHINE_ATTRIBUTES = frozenset(
    [
        "hostname",
        "guid",
        "application.session",
        "cpu.arch",
        "cpu.brand",
        "backtrace.agent",
        "backtrace.version",
        "uname.sysname",
        "uname.version",
        "uname.release",
    ]
)


def comparable_booboo(target: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    payload = json.loads(body)
    for name in ("name", "version"):
        payload["context"]["sdk"][name] = _kind(payload["context"]["sdk"][name])
    payload["context"]["runtime"]["version"] = "str"
    for stack in [payload["stacktrace"], *(exception["stacktrace"] for exception in payload["exceptions"])]:
        for frame in stack:
            if frame["filename"] == RECORDING_PROGRAM:
                frame.update({name: _kind(value) for name, value in frame.items()})
    return {"target": target, "headers": _own_headers(headers), "body": payload}


def comparable_backtrace(target: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    headers = _own_headers(headers)
    boundary = headers["content-type"].partition("boundary=")[2]
    headers["content-type"] = headers["content-type"].replace(boundary, "BOUNDARY")
    part_headers, _, report = body.partition(b"\r\n\r\n")
    report, _, end = report.rpartition(b"\r\n--")
    payload = json.loads(report)
    _hide_what_runs_differ_in(payload)
    return {
        "target": target,
        "headers": headers,
        "part": part_headers.decode().replace(boundary, "BOUNDARY"),
        "body": payload,
        "end": "--" + end.decode().replace(boundary, "BOUNDARY"),
    }


def _hide_what_runs_differ_in(payload: dict[str, Any]) -> None:
    for name in ("uuid", "timestamp", "langVersion", "agent", "agentVersion"):
        payload[name] = _kind(payload[name])
    attributes = payload["attributes"]
    for name, value in attributes.items():
        if name in MACHINE_ATTRIBUTES or isinstance(value, int):
            attributes[name] = _kind(value)
    # Of the threads only the one that reported: the packages' own are theirs alone.
    thread = payload["threads"][payload["mainThread"]]
    payload["mainThread"] = "THREAD"
    payload["threads"] = {"THREAD": thread}
    for frame in thread["stack"]:
        frame["line"] = _kind(frame["line"])  # theirs is the line where the frame stands now
    for block in payload["sourceCode"].values():
        block["text"], block["startLine"] = _kind(block["text"]), _kind(block["startLine"])


def _own_headers(headers: dict[str, str]) -> dict[str, str]:
    lowered = {name.lower(): value for name, value in headers.items()}
    return {name: value for name, value in lowered.items() if name not in LIBRARY_HEADERS}


def _kind(value: object) -> str:
    return type(value).__name__
