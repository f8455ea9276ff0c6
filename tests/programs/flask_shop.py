"""A Flask application with booboo, and requests to each of its routes."""

from __future__ import annotations

import os
from typing import NoReturn

import booboo
import flask

app = flask.Flask("shop")


class Mine(Exception):
    pass


@app.route("/fail")
def fail() -> NoReturn:
    raise ValueError("flask " + flask.request.path)


@app.route("/unavailable")
def unavailable() -> NoReturn:
    flask.abort(503)


@app.route("/gone")
def gone() -> NoReturn:
    flask.abort(410)


@app.route("/mine")
def mine() -> NoReturn:
    raise Mine


@app.errorhandler(Mine)
def handle(error: Mine) -> tuple[str, int]:
    return "dealt with", 418


booboo.init(os.environ["TRACKER"], app=app)
client = app.test_client()
for path in ("/fail?a=1", "/unavailable", "/gone", "/nowhere", "/mine"):
    answer = client.get(path, headers={"Authorization": "hunter2", "X-Forwarded-For": "9.9.9.9", "Accept": "text/x"})
    print(path, answer.status_code, answer.data)
app.testing = True
try:
    client.get("/fail?testing")
except ValueError as error:
    print("raised", error)
