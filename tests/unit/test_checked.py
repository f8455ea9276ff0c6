"""What is read from files: every number fits, and whatever does not raises ValueError and nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from lastword import checked
from tests.support.nonsense import VALUES
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.DAMAGE,
    "Numbers read from files fit into a double or stay digits; NaN, infinities and nesting deeper than 100 "
    "levels are refused",
    broken_by="infinities read; thousands of digits converted; as deep as the decoder goes",
)


@pytest.mark.parametrize("raw", VALUES.values(), ids=VALUES)
def test_every_number_fits_into_a_double(raw: str) -> None:
    """A value that is read at all can be written again, compared with a float and made one; a number that is too large
    is the text of its digits.
    """
    try:
        value = checked.json_value(f'{{"x":{raw}}}'.encode())["x"]
    except ValueError:
        assert raw in ("NaN", "Infinity", "-Infinity") or raw.startswith(("[[[[", '{"a":{'))
        return
    json.dumps(value, allow_nan=False)
    if type(value) in (int, float):
        assert math.isfinite(float(value))
    else:
        assert type(value) is str or raw[0] not in "-0123456789"


@pytest.mark.parametrize("digits", [1, 299, 300, 301, 309, 4_299, 10_000])
def test_a_number_is_found_wherever_it_stands(digits: int) -> None:
    """Not every byte is looked at before it is read."""
    for before in range(31):
        for sign in ("", "-"):
            text = sign + "9" * digits
            value = checked.json_value(f'["{"x" * before}",{text}]'.encode())[1]
            assert value == (int(text) if len(text) <= 300 else text)


READERS: dict[str, Callable[[Any], Any]] = {
    "integer": checked.integer,
    "count": checked.count,
    "number": lambda value: checked.number(value, 0, 10),
    "seconds": checked.seconds,
    "flag": checked.flag,
    "text": lambda value: checked.text(value, 10),
    "name": checked.name,
    "mapping": checked.mapping,
    "items": checked.items,
}
NOTHING: list[Any] = [None, object(), b"1", (), set(), 10**400, -(10**5000), math.nan, math.inf, -math.inf, 1e300]


@pytest.mark.parametrize("reader", READERS)
def test_value_out_of_range_raises_value_error(reader: str) -> None:
    """For values that no JSON text has as well. A bool is no number."""
    values: list[Any] = [*NOTHING, True, 3, 0.5, "", "a", "..", "a/b", "\0", "x" * 300, [], {}]
    taken = []
    for value in values:
        with suppress(ValueError):
            taken.append((value, READERS[reader](value)))
    numbers = [10**400, -(10**5000), 3]
    assert [value for value, _ in taken] == {
        "integer": [3],
        "count": numbers,
        "number": [3, 0.5],
        "seconds": [3, 0.5],
        "flag": [True],
        "text": ["", "a", "..", "a/b", "\0", "x" * 300],
        "name": ["a"],
        "mapping": [{}],
        "items": [[]],
    }[reader]
    if reader == "count":
        assert [got for _, got in taken] == [checked.LARGEST, -checked.LARGEST, 3]
    if reader == "text":
        assert taken[-1][1] == "x" * 10


@pytest.mark.parametrize("innermost", ["1", '"[{"', "[]", '{"a":[1,{},[2]]}'])
def test_too_deep_nesting_is_refused(innermost: str) -> None:
    """However deep this Python could read. Brackets in texts and siblings do not count."""
    own = {"1": 0, '"[{"': 0, "[]": 1, '{"a":[1,{},[2]]}': 3}[innermost]

    def nested(levels: int) -> bytes:
        lists = levels // 2
        text = "[1," * lists + '{"a":' * (levels - lists) + innermost + "}" * (levels - lists) + "]" * lists
        return text.encode()

    deepest = 100 - own
    assert json.dumps(checked.json_value(nested(deepest)), separators=(",", ":")).encode() == nested(deepest)
    for levels in (deepest + 1, 101, 300, 800, 20_000):
        with pytest.raises(ValueError, match="nested too deep"):
            checked.json_value(nested(levels))
    for flat in ([[], {"a": [[]]}] * 300, "[{" * 300, [{"a": "[" * 200}]):
        assert checked.json_value(json.dumps(flat).encode()) == flat


def test_bytes_beyond_ascii_are_no_json() -> None:
    """Nor are zeros, as a new file has them."""
    for content in (b"", b"\0" * 64, b"\xff\xfe", '"é"'.encode(), b'{"a":1} x'):
        with pytest.raises(ValueError):
            checked.json_value(content)
