"""Values that stand beside their name, in what variables show and in what the program hands over as data."""

from __future__ import annotations

import enum
from collections import namedtuple
from typing import Any

import pytest

from lastword.capture.bounded_repr import BoundedRepr
from lastword.config import Config
from lastword.event import Event
from lastword.scope import context
from lastword.scrub import Rules, is_sensitive, scrub
from tests.support.events import message_event
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.BEFORE_DISK,
    "A value beside a secret name is scrubbed in pairs, flags and objects with name and value",
    broken_by="pairs; flags; objects; `value` taken for a harmless key; a namedtuple as a list; any user "
    "id left alone (each)",
)

S = "hunter2"
RULES = Rules(Config())


class Header(str, enum.Enum):
    """As programs name headers."""

    KEY = "X-Api-Key"


class Name(str):
    """As multidicts have names; none of its methods is to be called."""

    def __getitem__(self, _: Any) -> str:
        raise AssertionError("ran")

    __str__ = __hash__ = None  # type: ignore[assignment]


#: The value → what stays of it.
SECRETS: list[tuple[Any, str]] = [
    ([("X-Api-Key", S)], "[('X-Api-Key', *)]"),
    ([["X-Api-Key", S], ["Host", "h"]], "[['X-Api-Key', *], ['Host', 'h']]"),
    ([[b"x-api-key", S.encode()]], "[[b'x-api-key', *]]"),
    (["password", [S]], "['password', *]"),
    ([{"name": "password", "value": S}], "[{'name': 'password', 'value': *}]"),
    ({"value": S, "key": "api_token", "type": 1}, "{'value': *, 'key': 'api_token', 'type': 1}"),
    ({"ParameterKey": "DBPassword", "ParameterValue": S}, "{'ParameterKey': 'DBPassword', 'ParameterValue': *}"),
    ({"Name": "Cookie", "Values": [S]}, "{'Name': 'Cookie', 'Values': *}"),
    ({"header": "Authorization", "value": {"a": S}}, "{'header': 'Authorization', 'value': *}"),
    ({"loc": ("body", "password"), "input": S}, "{'loc': ('body', 'password'), 'input': *}"),
    (["mysql", "--password", S, "shop"], "['mysql', '--password', *, 'shop']"),
    (("tool", "-api-key", S), "('tool', '-api-key', *)"),
    ({"argv": [b"tool", b"--token", S.encode()]}, "{'argv': [b'tool', b'--token', *]}"),
    ({"a": ("tool", "--token", S)}, "{'a': ('tool', '--token', *)}"),
]
HARMLESS: list[Any] = [
    ["id", "password", "email"],
    ["password is required", "try again"],
    ["--no-password", "--verbose"],
    ["--verbose", "x"],
    {"name": "colour", "value": "red"},
    {"name": "Session timeout of users", "value": 5},
    {"username": "secretary", "value": 5},
    [["Host", "h"], ["Accept", "*/*"]],
    ["-p", "80:80"],
]


@pytest.mark.parametrize(("value", "shown"), SECRETS, ids=str)
def test_a_variable_shows_no_value_beside_a_secret_name(value: Any, shown: str) -> None:
    """Also where texts are left alone (``scrub="names"``); the value is not touched."""
    shows = BoundedRepr(is_sensitive)
    for _ in range(2):  # with names known, and unknown
        assert shows.of(value, 200) == shown.replace("*", "[filtered]")
        assert shows.of_each([value])[0] == [shown.replace("*", "[filtered]")]


@pytest.mark.parametrize("value", HARMLESS, ids=str)
def test_other_lists_and_objects_are_shown(value: Any) -> None:
    """Names without values, sentences, and flags without one."""
    assert BoundedRepr(is_sensitive).of(value, 200) == repr(value)
    context.set_extra("data", value)
    said = context.current().extra
    context.set_extra("data", None)
    assert scrub(message_event(extra=said), RULES)["extra"] == said


def test_names_of_a_subclass_of_str_count() -> None:
    """Multidicts and enums have such; nothing of theirs is called."""
    shows = BoundedRepr(is_sensitive)
    assert S not in shows.of([(Header.KEY, S), [Header.KEY, S]], 400)
    assert S not in shows.of({Header.KEY: S}, 400)
    assert S not in shows.of((Name("password"), S), 400)


def _event_of(value: Any) -> Event:
    with context.new_scope():
        context.set_user({"id": 7, "more": value})
        context.set_extra("data", value)
        context.set_context("request", {"headers": value})
        context.set_tag("data", value)
        said = context.current()
    crumb: Any = {"timestamp": 1.5, "type": "", "category": "", "level": "info", "message": "", "data": said.extra}
    return message_event(user=said.user, extra=said.extra, contexts=said.contexts, tags=said.tags, breadcrumbs=[crumb])


@pytest.mark.parametrize("value", [value for value, _ in SECRETS], ids=str)
def test_no_part_of_an_event_has_a_value_beside_a_secret_name(value: Any) -> None:
    """User, extra, contexts, tags and breadcrumbs."""
    event = _event_of(value)
    assert str(event).count(S) == 5
    assert S not in str(scrub(event, RULES))


class Account:
    """As ORMs show their objects."""

    def __init__(self, password: str) -> None:
        self.password = password

    def __str__(self) -> str:
        return f"<Account id=7 password={self.password!r} session=Session(key={self.password!r})>"


Row = namedtuple("Row", "id password")


@pytest.mark.parametrize(
    "user",
    [Account(S), Row(7, S), {"id": Account(S)}, {"id": 7, "profile": Row(7, S)}, {"id": 7, "all": [Account(S)]}],
    ids=["object", "row", "object as id", "row in a mapping", "object in a list"],
)
def test_user_object_is_scrubbed(user: Any) -> None:
    """By its own text or by the names of its fields; its id stays."""
    with context.new_scope():
        context.set_user(user)
        event = message_event(user=context.current().user)
    assert S in str(event["user"])
    told = str(scrub(event, RULES)["user"])
    assert S not in told
    assert "7" in told


@pytest.mark.parametrize("user_id", ["4111111111111111", 4111111111111111, "auth0|5f7c", "ann@shop.example"])
def test_an_id_stays_as_it_is(user_id: Any) -> None:
    """By it a user is found again, whatever it looks like."""
    event = message_event("password=x", user={"id": user_id})
    assert scrub(event, RULES)["user"] == {"id": user_id}
