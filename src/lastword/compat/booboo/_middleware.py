"""The Django and ASGI middlewares that users' code may name."""

from __future__ import annotations

from typing import Any

from lastword.integrations.asgi import ReportingMiddleware


class BoobooDjangoMiddleware:
    """Does nothing: ``integrations.django`` reports errors whether or not this middleware is configured."""

    sync_capable = True
    async_capable = True

    def __new__(cls, get_response: Any) -> Any:
        return get_response


class BoobooASGIMiddleware(ReportingMiddleware):
    """Reports from ASGI applications other than FastAPI and Channels."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
