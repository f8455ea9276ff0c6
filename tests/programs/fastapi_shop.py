"""A FastAPI application with booboo, and requests to each of its routes."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import booboo
from fastapi import FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import PlainTextResponse

app = FastAPI()


class Mine(Exception):
    pass


@app.get("/fail")
async def fail() -> None:
    raise ValueError("fastapi")


@app.get("/sync")
def in_a_thread() -> None:
    raise KeyError("sync")


@app.get("/unavailable")
async def unavailable() -> None:
    raise HTTPException(503)


@app.get("/mine")
async def mine() -> None:
    raise Mine


@app.exception_handler(Mine)
async def handle(request: Request, error: Exception) -> PlainTextResponse:
    return PlainTextResponse("dealt with", 418)


@app.websocket("/ws")
async def talk(websocket: WebSocket) -> None:
    raise IndexError("websocket")


booboo.init(os.environ["TRACKER"], app=app)


async def call(path: str, query: bytes = b"", kind: str = "http") -> None:
    async def receive() -> Any:
        return {"type": "http.request", "body": b""} if kind == "http" else {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        if "status" in message:
            print(path, message["status"])

    scope = {
        "type": kind,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": HEADERS,
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("1.2.3.4", 5),
        "http_version": "1.1",
        "root_path": "",
        "asgi": {"version": "3.0"},
    }
    if kind == "http":
        scope["method"] = "GET"
    try:
        await app(scope, receive, send)
    except Exception as error:
        print(path, "raised", repr(error))


HEADERS = [(b"host", b"shop"), (b"authorization", b"hunter2"), (b"accept", b"text/x")]


async def main() -> None:
    await call("/fail", b"a=1")
    await call("/sync")
    await call("/unavailable")
    await call("/nowhere")
    await call("/mine")
    await call("/ws", kind="websocket")


asyncio.run(main())
