"""Fails if the first captures import anything, or start a thread, socket or process."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from typing import Any

from lastword.assembly import exception_event, message_event
from lastword.capture import CaptureSettings
from lastword.config import Config
from lastword.event import Needs
from lastword.scope import breadcrumbs, context
from lastword.scrub import Rules, scrub

happened: list[tuple[str, str]] = []
watched = ("import", "socket.", "_thread.", "subprocess.", "os.fork", "os.exec", "os.posix_spawn", "os.system")
armed = False


def watch(name: str, arguments: Any) -> None:
    if armed and name.startswith(watched):
        happened.append((name, str(arguments)))


sys.addaudithook(watch)
rules = Rules(Config())
settings = CaptureSettings(needs=Needs(message_stack=True, memory=True), is_sensitive=rules.is_sensitive)
before = set(sys.modules)
armed = True
try:
    json.loads("{")
except ValueError as error:
    context.set_user({"id": 1})
    context.set_tag("a", "b")
    context.set_context("a", {"b": {1: [Decimal(1), None]}})
    breadcrumbs.add_breadcrumb("a", data={"b": object()})
    scrub(exception_event(error, handled=True, mechanism="test", settings=settings), rules)
    scrub(message_event("password=hello", level="info", settings=settings), rules)
armed = False
assert not happened, happened
assert set(sys.modules) == before, set(sys.modules) - before
