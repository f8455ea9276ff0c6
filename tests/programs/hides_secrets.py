"""A program with a secret in a local variable, in an exception's text and in all that it says of its work; nowhere in
its source. Tests continue it: they hide the secret in some way, and capture.
"""

from __future__ import annotations

import os
from typing import Any

import lastword

secret = "esroh-tcerroc-2retnuh"[::-1]
spool = os.environ["TEST_SPOOL"]
dsn = os.environ.get("TEST_DSN")


def capture() -> str | None:
    harmless = secret
    try:
        raise LookupError("no key " + secret)
    except LookupError:
        return lastword.capture_exception()


def without(event: Any) -> Any:
    told = repr(event)
    assert secret in told
    for info in event["exceptions"]:
        info["value"] = info["value"].replace(secret, "***")
        for frame in info["frames"]:
            frame["variables"] = [one for one in frame["variables"] if secret not in one[2]]
            del frame["source"]
    del event["user"]
    event["tags"] = {name: text for name, text in event["tags"].items() if secret not in text}
    event["breadcrumbs"] = [crumb for crumb in event["breadcrumbs"] if secret not in repr(crumb)]
    for name in ("extra", "contexts", "fingerprint", "transaction"):
        assert secret in repr(event.pop(name))
    return event


def fails(event: Any) -> Any:
    raise RuntimeError(repr(event))


def init(**options: Any) -> None:
    lastword.init(dsn, spool=spool, **options)


def mark() -> None:
    lastword.set_user({"id": secret})
    lastword.set_tag("name", secret)
    lastword.set_extra("name", secret)
    lastword.set_context("name", {"a": secret})
    lastword.set_fingerprint([secret])
    lastword.set_transaction(secret)
    lastword.add_breadcrumb(secret, category=secret, data={"a": secret})
    lastword.add_breadcrumb("harmless")
