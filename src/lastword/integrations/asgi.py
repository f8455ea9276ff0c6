"""ASGI: report exceptions that leave an application while it serves a request or a websocket.

FastAPI and Channels are covered by ``install``; any other application must be wrapped in ``ReportingMiddleware``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

from lastword.integrations import reporting
from lastword.integrations.patching import Function, when_imported, wrap
from lastword.integrations.reporting import Failure, Request, WorkScope, part, traceback_inside

MECHANISM = "asgi"

Scope = dict[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


def install() -> None:
    """Report from all FastAPI applications and Channels routers, existing and later ones."""
    when_imported("fastapi.applications", lambda module: _patch(module, "FastAPI"))
    when_imported("channels.routing", lambda module: _patch(module, "ProtocolTypeRouter"))


def _patch(module: ModuleType, name: str) -> None:
    def around(original: Function) -> Function:
        async def serve(self: Any, scope: Scope, receive: Any, send: Any) -> None:
            await _serve(lambda *arguments: original(self, *arguments), scope, receive, send)

        return serve

    wrap(getattr(module, name), "__call__", around)


class ReportingMiddleware:
    """Reports from the application that it wraps: ``app = ReportingMiddleware(app)``."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        await _serve(self.app, scope, receive, send)


async def _serve(app: App, scope: Scope, receive: Any, send: Any) -> None:
    if scope.get("type") not in ("http", "websocket"):
        await app(scope, receive, send)
        return
    with WorkScope():
        try:
            await app(scope, receive, send)
        except Exception as error:
            reporting.report(Failure(error, traceback_inside(error), MECHANISM, lambda: _read_request(scope)))
            raise


def _read_request(scope: Scope) -> Request:
    query_string = part(lambda: bytes(scope.get("query_string") or b"").decode("latin-1"), "")
    headers: dict[str, str] = part(
        lambda: {
            bytes(name).decode("latin-1"): bytes(value).decode("latin-1") for name, value in scope.get("headers") or ()
        },
        {},
    )
    client = scope.get("client")
    origin = part(lambda: _origin(scope, headers), "")
    return Request(
        method=str(scope.get("method", "")),
        url=origin + str(scope.get("path", "")) + (f"?{query_string}" if query_string else ""),
        headers=headers,
        query_string=query_string,
        user=part(lambda: {"ip_address": client[0]} if client else {}, {}),
    )


def _origin(scope: Scope, headers: dict[str, str]) -> str:
    """Return scheme and address of the server; on a Unix socket, the Host that the client named, or ''."""
    server = scope.get("server")
    where = f"{server[0]}:{server[1]}" if server and server[1] is not None else headers.get("host", "")
    return f"{scope.get('scheme', 'http')}://{where}" if where else ""
