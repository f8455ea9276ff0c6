"""A real Django with a database in memory, that tells of every query, fails with query sets in local variables."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings

import lastword
from tests.support.prelude import acked

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    USE_TZ=True,
)
django.setup()

from django.contrib.auth.models import Group, User  # noqa: E402 - after the settings
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.utils.functional import SimpleLazyObject  # noqa: E402

call_command("migrate", verbosity=0)
User.objects.create(username="ann").groups.add(Group.objects.create(name="editors"))

queries: list[str] = []


def tell(execute: Any, sql: Any, parameters: Any, many: Any, context: Any) -> Any:
    queries.append(sql)
    return execute(sql, parameters, many, context)


def fail() -> None:
    users = User.objects.all()
    several = {"filtered": users.filter(username="ann"), "values": [users.values_list("id"), (users.none(),)]}
    deferred = User.objects.defer("username").get()
    groups = deferred.groups
    request_user = SimpleLazyObject(lambda: User.objects.get(username="ann"))
    del queries[:]
    _ = 1 / 0


with connection.execute_wrapper(tell):
    try:
        fail()
    except ZeroDivisionError:
        acked(lastword.capture_exception())
        assert queries == [], queries
    repr(User.objects.all())
    assert len(queries) == 1, "the queries are not seen"
