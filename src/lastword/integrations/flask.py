"""Flask: report an exception that no error handler of the program handles, where Flask answers 500 to it.

An ``HTTPException`` is reported if its code is 500 or more and the program has no handler for it.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from lastword.integrations import reporting
from lastword.integrations.patching import Function, when_imported, wrap
from lastword.integrations.reporting import Failure, Request, in_work_scope, part
from lastword.interruption import anything

MECHANISM = "flask"


def install() -> None:
    """Report from all applications, existing and later ones."""
    when_imported("flask.app", _patch)


def _patch(module: ModuleType) -> None:
    def around_handle_exception(original: Function) -> Function:
        def handle_exception(self: Any, e: Exception) -> Any:
            _report(module, e)
            return original(self, e)

        return handle_exception

    def around_handle_http_exception(original: Function) -> Function:
        def handle_http_exception(self: Any, e: Any) -> Any:
            if _is_server_error(e) and not _has_handler(self, e, module):
                _report(module, e)
            return original(self, e)

        return handle_http_exception

    flask: Any = module.Flask
    wrap(flask, "handle_exception", around_handle_exception)
    wrap(flask, "handle_http_exception", around_handle_http_exception)
    wrap(flask, "wsgi_app", in_work_scope)


def _is_server_error(error: Any) -> bool:
    try:
        return bool((error.code or 0) >= 500)
    except anything():  # the program's own HTTPException class
        return False


def _has_handler(app: Any, error: Any, module: ModuleType) -> bool:
    try:
        return app._find_error_handler(error, module.request.blueprints) is not None
    except anything():  # a private method, which Flask may remove
        return False


def _report(module: ModuleType, error: BaseException) -> None:
    reporting.report(Failure(error, None, MECHANISM, lambda: _read_request(module.request)))


def _read_request(request: Any) -> Request:
    return Request(
        method=part(lambda: str(request.method), ""),
        url=part(lambda: str(request.url), "") or part(lambda: str(request.path), ""),
        headers=part(lambda: {str(name): str(value) for name, value in request.headers.items()}, {}),
        query_string=part(lambda: request.query_string.decode("utf-8", "replace"), ""),
        user=part(lambda: {"ip_address": request.remote_addr} if request.remote_addr else {}, {}),
    )
