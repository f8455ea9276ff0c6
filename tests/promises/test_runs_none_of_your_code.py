"""The promise: what local variables are, is shown without asking them. A repr may query a database, load, or wait."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest

from lastword.assembly import exception_event
from lastword.capture import CaptureSettings
from lastword.event import Needs
from lastword.scrub import is_sensitive
from tests.support.programs import PROGRAMS, run
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.BEFORE_DISK,
    "Reading local variables runs no code of the program: no query, no load, no `repr`",
    broken_by="`repr` of objects; `value.__class__` for `type(value)`",
)


def test_django_objects_in_local_variables_query_nothing(tmp_path: Path) -> None:
    """Query sets, a deferred field, a related manager and the lazy user of a request; and they are in the event."""
    assert len(run(PROGRAMS / "tells_of_queries.py", spool=tmp_path / "spool")) == 1
    (segment,) = tmp_path.glob("spool/v1/writers/*/*.seg")
    event = json.loads(segment.read_text())["event"]
    texts = {name: text for name, _, text in event["exceptions"][0]["frames"][-1]["variables"]}
    assert set(texts) == {"users", "several", "deferred", "groups", "request_user"}
    assert texts["users"].startswith("<django.db.models.query.QuerySet object at 0x")
    assert texts["request_user"].startswith("<django.utils.functional.SimpleLazyObject object at 0x")


def asked(*_: object, **__: object) -> Any:
    raise AssertionError("was asked")


#: Every method by which somebody could ask an object for something.
METHODS: dict[str, Any] = dict.fromkeys(
    [
        *("__repr__", "__str__", "__bytes__", "__format__", "__bool__", "__len__", "__iter__", "__next__", "__call__"),
        *("__getattr__", "__getattribute__", "__getitem__", "__contains__", "__eq__", "__ne__", "__lt__", "__hash__"),
        *(
            "__int__",
            "__float__",
            "__index__",
            "__dir__",
            "__sizeof__",
            "__reduce__",
            "__reduce_ex__",
            "__length_hint__",
        ),
        *(
            "__instancecheck__",
            "__subclasscheck__",
            "__missing__",
            "__reversed__",
            "__enter__",
            "__await__",
            "__copy__",
        ),
        *("keys", "items", "values", "get", "all", "first", "count"),
    ],
    asked,
)


def proxy_of(kind: type) -> Any:
    """As werkzeug's LocalProxy: answers for everything with what it stands for, its class included."""
    return type("LocalProxy", (), {**METHODS, "__class__": property(lambda self: kind)})()


def lazy_row() -> Any:
    """As a row of SQLAlchemy whose attributes are loaded when they are first read, by descriptors of its class."""
    loaded = type("Loaded", (), {"__get__": asked, "__set__": asked})
    columns = dict.fromkeys(("id", "name", "password", "__dict__", "__class__", "__module__", "__name__"), loaded())
    return type("Row", (), {**METHODS, **columns})()


def model_class() -> Any:
    """Its metaclass answers for it, when it is hashed or compared too."""
    return type("Meta", (type,), {**METHODS, "__call__": type.__call__})("Model", (), {})


UNTOUCHED: dict[str, Callable[[], Any]] = {
    "proxy of a dict": lambda: proxy_of(dict),
    "proxy of a text": lambda: proxy_of(str),
    "proxy of an exception": lambda: proxy_of(ValueError),
    "lazy row": lazy_row,
    "lazy list": lambda: type("LazyList", (list,), METHODS)([1, 2]),
    "lazy dict": lambda: type("LazyDict", (dict,), METHODS)(a=1),
    "lazy text": lambda: type("LazyText", (str,), METHODS)("x"),
    "lazy bytes key": lambda: {b"k": lazy_row(), None: [proxy_of(int)]},
    "generator": lambda: (asked() for _ in range(1)),
    "object of a metaclass": lambda: object.__new__(model_class()),
    "class of a metaclass": model_class,
}


@pytest.mark.parametrize("name", UNTOUCHED)
def test_no_method_of_a_local_variable_is_called(name: str) -> None:
    """Alone, and inside containers."""

    def fail(local: object) -> None:
        raise ZeroDivisionError

    value = UNTOUCHED[name]()
    settings = CaptureSettings(needs=Needs(), is_sensitive=is_sensitive)
    for local in (value, [value, {"key": (value,)}]):
        with pytest.raises(ZeroDivisionError) as raised:
            fail(local)
        (info,) = exception_event(raised.value, handled=True, mechanism="test", settings=settings)["exceptions"]
        (variable,) = info["frames"][-1]["variables"]
        assert variable[1] == "repr"
        assert " object at 0x" in variable[2] or "<class " in variable[2]
