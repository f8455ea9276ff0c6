"""Requests to frameworks, whose views fail and have rows of their own."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import Any

import django
import fastapi
import flask
from django.conf import settings

from tests.programs.kept_alive import fail, form, rows, try_forms

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF="__main__", SECRET_KEY="x", LOGGING_CONFIG=None)
django.setup()
from django.core.handlers.asgi import ASGIHandler  # noqa: E402 - after the settings
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.urls import path  # noqa: E402

shop = flask.Flask("shop")
shop.add_url_rule("/fail", "fail", lambda: fail(rows()))


def view(request: object) -> None:
    used = rows()
    fail(used)


async def async_view(request: object) -> None:
    used = rows()
    fail(used)


urlpatterns = [path("fail", view), path("async", async_view)]
django_wsgi, django_asgi = WSGIHandler(), ASGIHandler()
api = fastapi.FastAPI()


@api.get("/fail")
async def route() -> None:
    used = rows()
    fail(used)


@form
def to_flask() -> None:
    shop.test_client().get("/fail")


@form
def to_django() -> None:
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/fail", "SERVER_NAME": "x", "SERVER_PORT": "80"}
    django_wsgi({**environ, "wsgi.input": BytesIO()}, lambda *_: None).close()


async def get(application: Any, path: str) -> None:
    asked = []

    async def receive() -> Any:
        asked.append(1)
        if len(asked) > 1:
            await asyncio.sleep(3600)
        return {"type": "http.request", "body": b""}

    async def send(message: object) -> None:
        pass

    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"", "http_version": "1.1"}
    try:
        await application(scope, receive, send)
    except ValueError:
        pass


@form
def to_django_by_asgi() -> None:
    asyncio.run(get(django_asgi, "/async"))


@form
def to_fastapi() -> None:
    asyncio.run(get(api, "/fail"))


try_forms(frameworks=True)
