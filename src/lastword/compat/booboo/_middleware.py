"""What users may have named in their own code: a Django middleware by its dotted path, an ASGI middleware."""

from __future__ import annotations

from typing import Any

from lastword.integrations.asgi import ReportingMiddleware


class BoobooDjangoMiddleware:
    """Puts nothing around a request: errors are heard where Django makes responses of them, listed here or not."""

    sync_capable = True
    async_capable = True

    def __new__(cls, get_response: Any) -> Any:
        return get_response


class BoobooASGIMiddleware(ReportingMiddleware):
    """For ASGI applications that are neither FastAPI's nor Channels'."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
