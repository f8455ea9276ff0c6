"""Django: report an exception of a view or a middleware, sync or async, where Django turns it into a response.

``Http404`` is not reported. All other exceptions are, including those that Django answers with 400 and 403.
"""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

from lastword.integrations import reporting
from lastword.integrations.patching import Function, when_imported, wrap
from lastword.integrations.reporting import Failure, Request, WorkScope, in_work_scope, part

MECHANISM = "django"


def install() -> None:
    """Report from Django, now or once it is imported; it need not be configured."""
    when_imported("django.core.handlers.exception", _report_from_responses)
    when_imported("django.core.handlers.base", _scope_requests)


def _report_from_responses(module: ModuleType) -> None:
    not_found: Any = module.Http404

    def around(original: Function) -> Function:
        def response_for_exception(request: Any, exc: Any) -> Any:
            if not issubclass(type(exc), not_found):
                report(exc, request)
            return original(request, exc)

        return response_for_exception

    wrap(module, "response_for_exception", around)


def report(error: BaseException, request: Any) -> None:
    """Report ``error`` with its request. Never raises."""
    reporting.report(Failure(error, None, MECHANISM, lambda: read_request(request)))


def _scope_requests(module: ModuleType) -> None:
    wrap(module.BaseHandler, "get_response", in_work_scope)
    wrap(module.BaseHandler, "get_response_async", _in_work_scope_async)


def _in_work_scope_async(original: Function) -> Function:
    async def get_response_async(*arguments: Any, **options: Any) -> Any:
        with WorkScope():
            return await original(*arguments, **options)

    return get_response_async


def read_request(request: Any) -> Request:
    """Read the request; its user is read from the database unless the program has already read it."""
    meta = request.META
    return Request(
        method=part(lambda: str(request.method or ""), ""),
        url=part(lambda: str(request.get_full_path()), "") or part(lambda: str(request.path), ""),
        headers=part(lambda: _headers(meta), {}),
        query_string=part(lambda: str(meta.get("QUERY_STRING", "")), ""),
        user={**part(lambda: _user(request), {}), **part(lambda: _address(meta), {})},
    )


def _headers(meta: Any) -> dict[str, str]:
    headers = {}
    for name, value in meta.items():
        if name in ("CONTENT_TYPE", "CONTENT_LENGTH") or str(name).startswith("HTTP_"):
            short = name[len("HTTP_") :] if name.startswith("HTTP_") else name
            headers[short.replace("_", "-").title()] = part(partial(str, value), "")
    return headers


def _user(request: Any) -> dict[str, Any]:
    """Return the authenticated user; raises if, for instance, the database has failed."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    known = {
        "id": part(lambda: str(user.pk), ""),
        "email": part(lambda: str(user.email or ""), ""),
        "username": part(lambda: str(user.get_username()), "") or part(lambda: str(user.username), ""),
    }
    return {name: value for name, value in known.items() if value}


def _address(meta: Any) -> dict[str, Any]:
    return {"ip_address": meta["REMOTE_ADDR"]} if meta.get("REMOTE_ADDR") else {}
