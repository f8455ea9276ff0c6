"""Scrubbing: values whose names say that they are secret are taken out."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from lastword import scrub as scrub_module
from lastword.capture import CaptureSettings, message_event
from lastword.event import Breadcrumb, Event, Needs
from lastword.scrub import is_sensitive, scrub


def an_event() -> Event:
    settings = CaptureSettings(needs=Needs(), is_sensitive=is_sensitive)
    return message_event("hello", level="info", settings=settings)


@pytest.mark.parametrize(
    "name",
    [
        *("password", "DB_PASSWORD", "passwd", "client_secret", "csrfToken", "api_key", "APIKEY", "AWS_ACCESS_KEY_ID"),
        *("Authorization", "author", "tokenizer", "credentials", "private_key", "x" * 500 + "secret"),
    ],
)
def test_a_name_that_contains_a_word_of_the_list_is_sensitive(name: str) -> None:
    """Any letter case, anywhere in the name."""
    assert is_sensitive(name)
    assert is_sensitive(name)  # the remembered answer is the same


@pytest.mark.parametrize("name", ["", "pwd", "dsn", "session_id", "x-api-key", "access key", "user", "pass_word"])
def test_other_names_are_not_sensitive(name: str) -> None:
    """The list is the documented one, no more and no less."""
    assert not is_sensitive(name)
    assert not is_sensitive(name)


def test_what_is_remembered_about_names_is_bounded() -> None:
    """A program that makes up names cannot make lastword grow."""
    for number in range(3 * scrub_module._MAX_NAMES_KNOWN):
        is_sensitive(f"name_{number}")
    is_sensitive("y" * 1_000_000)
    assert len(scrub_module._known) <= scrub_module._MAX_NAMES_KNOWN
    assert max(map(len, scrub_module._known)) < 1_000


def test_sensitive_tags_and_user_items_are_filtered_at_any_depth() -> None:
    """The name stays, so that one sees that something was there; its whole value goes."""
    event = an_event()
    event["tags"] = {"auth_mode": "ldap", "queue": "mail"}
    event["user"] = {
        "id": "42",
        "password": "hunter2",
        "profile": {"api_key": {"nested": 1}, "name": "Ann", "logins": [{"token": "t", "at": 5}, "text"]},
    }
    scrubbed = scrub(event)
    assert scrubbed["tags"] == {"auth_mode": "[filtered]", "queue": "mail"}
    assert scrubbed["user"] == {
        "id": "42",
        "password": "[filtered]",
        "profile": {"api_key": "[filtered]", "name": "Ann", "logins": [{"token": "[filtered]", "at": 5}, "text"]},
    }


def a_breadcrumb(data: dict[str, Any]) -> Breadcrumb:
    return {"timestamp": 1.5, "type": "http", "category": "", "level": "info", "message": "login", "data": data}


def test_extra_contexts_and_breadcrumbs_are_filtered_likewise() -> None:
    """A context by whose name alone it is a secret keeps its names and none of its values."""
    event = an_event()
    event["extra"] = {"token": 1, "rows": [{"secret": 2, "id": 3}]}
    event["contexts"] = {"order": {"id": 7, "card": {"private": 1}}, "credentials": {"name": "Ann", "pin": 1}}
    event["breadcrumbs"] = [a_breadcrumb({"auth": "x", "status": 200}), a_breadcrumb({})]
    scrubbed = scrub(event)
    assert scrubbed["extra"] == {"token": "[filtered]", "rows": [{"secret": "[filtered]", "id": 3}]}
    assert scrubbed["contexts"] == {
        "order": {"id": 7, "card": {"private": "[filtered]"}},
        "credentials": {"name": "[filtered]", "pin": "[filtered]"},
    }
    assert [crumb["data"] for crumb in scrubbed["breadcrumbs"]] == [{"auth": "[filtered]", "status": 200}, {}]


def test_scrubbing_leaves_its_argument_and_the_rest_alone() -> None:
    """It is a function of the event: the argument is as it was, and nothing else of the result differs."""
    event = an_event()
    event["user"] = {"secret": {"a": 1}}
    event["tags"] = event["extra"] = {"token": "x"}
    event["contexts"] = {"order": {"token": "x"}}
    event["breadcrumbs"] = [a_breadcrumb({"token": "x"})]
    before = copy.deepcopy(event)
    scrubbed = scrub(event)
    assert event == before
    said: Any = {"user": None, "tags": {}, "extra": {}, "contexts": {}, "breadcrumbs": []}
    assert {**scrubbed, **said} == {**before, **said}


def test_an_event_without_a_user_stays_without() -> None:
    """None is not a user."""
    assert scrub(an_event())["user"] is None
