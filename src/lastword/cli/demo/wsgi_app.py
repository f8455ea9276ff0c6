"""The demo's web application: a plain WSGI callable, which ``gunicorn --preload`` imports in the master."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Callable

import lastword
from lastword.cli.demo.failures import fail_and_report

lastword.init(flood_burst=0)  # no flood limit: this program fails at one line, on purpose


def application(
    environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]
) -> Iterable[bytes]:
    """Answer ``/ready`` with 204; take any other path as the marker of an error to raise, and answer with its Ack."""
    marker = environ["PATH_INFO"].lstrip("/")
    if marker == "ready":
        start_response("204 No Content", [])
        return []
    body = json.dumps(asdict(fail_and_report(marker))).encode()
    start_response(
        "500 Internal Server Error", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    )
    return [body]
