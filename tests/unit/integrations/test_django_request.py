"""What is read of a request of Django: each part for itself. No Django is needed for that."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lastword.integrations.django import read_request
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.BEFORE_DISK,
    "An unreadable part of a request costs only itself; the headers of its body are reported",
    broken_by="one unreadable part raises for all; `CONTENT_TYPE` not a header; `username` not asked",
)

META = {
    "CONTENT_TYPE": "application/json",
    "CONTENT_LENGTH": 12,
    "HTTP_X_API_VERSION": "3",
    "QUERY_STRING": "a=1",
    "REMOTE_ADDR": "10.0.0.9",
    "wsgi.input": object(),
}


class Odd:
    """Raises when it is asked for anything that it was not given."""

    def __init__(self, **given: Any) -> None:
        self.__dict__.update(given)

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __str__(self) -> str:
        raise RuntimeError("str")


def request(**changed: Any) -> Any:
    user = SimpleNamespace(is_authenticated=True, pk=7, email="ann@x.example", username="ann")
    given = {"META": META, "method": "POST", "get_full_path": lambda: "/pay?a=1", "path": "/pay", "user": user}
    return SimpleNamespace(**{**given, **changed})


def test_all_parts_of_a_request_are_reported() -> None:
    """The two headers that WSGI names otherwise as well; a user without get_username by the username."""
    told = read_request(request())
    assert told.headers == {"Content-Type": "application/json", "Content-Length": "12", "X-Api-Version": "3"}
    assert told.user == {"id": "7", "email": "ann@x.example", "username": "ann", "ip_address": "10.0.0.9"}
    assert (told.method, told.url, told.query_string) == ("POST", "/pay?a=1", "a=1")


WHOLE = read_request(request())._asdict()
ANN = WHOLE["user"]


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in ANN.items() if name not in names}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"method": Odd()}, {"method": ""}),
        ({"get_full_path": Odd().__str__}, {"url": "/pay"}),
        ({"META": {**META, "HTTP_X_ODD": Odd()}}, {"headers": {**WHOLE["headers"], "X-Odd": ""}}),
        ({"META": {**META, "QUERY_STRING": Odd()}}, {"query_string": ""}),
        ({"user": Odd()}, {"user": without("id", "email", "username")}),
        ({"user": Odd(is_authenticated=True)}, {"user": without("id", "email", "username")}),
        ({"user": Odd(is_authenticated=True, pk=7, username="ann")}, {"user": without("email")}),
        (
            {"user": Odd(is_authenticated=True, pk=Odd(), email="ann@x.example", username="ann")},
            {"user": without("id")},
        ),
        ({"user": SimpleNamespace(is_authenticated=False)}, {"user": without("id", "email", "username")}),
        ({"user": None}, {"user": without("id", "email", "username")}),
    ],
)
def test_a_part_that_fails_costs_only_itself(changed: dict[str, Any], told: dict[str, Any]) -> None:
    """All else is there."""
    assert read_request(request(**changed))._asdict() == {**WHOLE, **told}


def test_a_user_with_get_username() -> None:
    """By what Django asks: another field may be the name of a user."""
    user = SimpleNamespace(is_authenticated=True, pk=7, email="", username="x", get_username=lambda: "ann@x.example")
    assert read_request(request(user=user)).user["username"] == "ann@x.example"
