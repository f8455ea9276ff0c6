"""One program with many failures, one after the other. tests/compat runs it with booboo and with the drop-in."""

from __future__ import annotations

import decimal
import json
import os
import threading
from collections.abc import Callable
from typing import Any

import booboo

booboo.init(os.environ["TRACKER"], environment="production", release="r1")


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class Shown:
    def __repr__(self) -> str:
        return f"<Shown {'z' * 300}>"


class Unprintable(Exception):
    def __str__(self) -> str:
        return "told: " + super().__str__()


def handled() -> None:
    amount = 3
    raise ValueError("no such order")


def chained() -> None:
    try:
        handled()
    except ValueError as error:
        raise LookupError("lost") from error


def in_context() -> None:
    try:
        handled()
    except ValueError:
        raise LookupError("lost")  # noqa: B904


def suppressed() -> None:
    try:
        handled()
    except ValueError:
        raise LookupError("lost") from None


def of_three() -> None:
    try:
        chained()
    except LookupError:
        raise KeyError("third")  # noqa: B904


namespace: dict[str, Any] = {}
names = [f"    name{n} = {n}\n" for n in range(60)]
exec("def sixty_locals():\n" + "".join(names) + "    raise ValueError('60')\n", globals(), namespace)


def reprs() -> None:
    text = "x" * 300
    short = 'it\'s "short" \n é ✓'
    unshowable, shown = Unshowable(), Shown()
    numbers, nan, infinity = [1, 2.5, None, True], float("nan"), float("inf")
    large, exact = 2**53, decimal.Decimal("1.10")
    nested = {"a": [1, {"b": (2, shown)}], "password": "in a dict"}
    objects = [Shown(), Shown()]
    raw, empty, kind, call = b"\x00" * 300, {}, int, handled.__name__  # type: ignore[var-annotated]
    raise ValueError("reprs")


def secrets() -> None:
    password = user_token = API_KEY = author = tokenizer = private_key = "hunter2"  # noqa: N806
    pwd = dsn = session_id = cookie = "shown"
    __dunder__ = "left out"
    raise ValueError("secrets")


def custom() -> None:
    raise Unprintable("why")


def deep(depth: int = 30) -> None:
    if depth == 0:
        raise ValueError("deep")
    deep(depth - 1)


def in_library() -> None:
    json.loads("{")


def no_text() -> None:
    raise ValueError


def several_lines() -> None:
    raise ValueError("one\ntwo")


def syntax_error() -> None:
    compile("a b", "theirs.py", "exec")


def in_a_thread() -> None:
    def work() -> None:
        try:
            handled_there(3)
        except ValueError:
            booboo.capture_exception()

    def handled_there(amount: int) -> None:
        raise ValueError("in a thread")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


exec(compile("def from_nowhere():\n    here = 1\n    raise OSError('no source')\n", "<string>", "exec"), namespace)


def without_source() -> None:
    namespace["from_nowhere"]()


def given() -> None:
    """Captured behind the except block."""
    raise ValueError("given")


def show(fail: Callable[[], object]) -> None:
    try:
        fail()
    except Exception:
        booboo.capture_exception()


SITUATIONS: list[Callable[[], object]] = [
    *(handled, chained, in_context, suppressed, of_three, namespace["sixty_locals"], reprs, secrets, custom, deep),
    *(in_library, no_text, several_lines, syntax_error, in_a_thread, without_source),
]
for situation in SITUATIONS:
    show(situation)

kept: BaseException | None
try:
    given()
except ValueError as error:
    kept = error
booboo.capture_exception(kept)
del kept
booboo.capture_exception()
booboo.capture_message("deployed")
booboo.capture_message("with a level", "warning")
booboo.capture_message("level by name", level="error")
booboo.capture_message("a level of their own", "critical")
booboo.capture_message("fatal", "fatal")
booboo.set_user({"id": 7, "email": "a@b.c", "nested": {"plan": ["x", 1]}})
booboo.capture_message("with a user")
show(handled)
booboo.set_user(None)
booboo.capture_message("without a user")


def main() -> None:
    local = 1
    raise KeyError("nobody catches this")


main()
