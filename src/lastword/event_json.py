"""The JSON text of an Event, most of which capture has already encoded.

Frames make up nearly all of an event, and nearly all of a frame is the same each time: capture caches the JSON of that
part. Breadcrumbs become JSON when they are added. Most events need frames and breadcrumbs only as JSON. The JSON is
ASCII without spaces; NaN and infinities are refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, Union, overload

_Part = TypeVar("_Part")

#: Encode a text as a JSON string, with its quotes.
encode_text = json.encoder.encode_basestring_ascii


def _encoder() -> Callable[[Any], str]:
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # PyPy
        return json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
    # JSONEncoder makes one of these for each call, which, for a small part of an event, takes longer than all the rest.
    # The difference: a cycle, which only a hook can make, ends in RecursionError.
    in_pieces = make(None, _refuse, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, False)
    return lambda value: "".join(in_pieces(value, 0))


def _refuse(value: object) -> None:
    raise TypeError(f"a {type(value).__name__} is no JSON")


#: Encode a value as JSON; raises ValueError, TypeError or RecursionError if it has no JSON.
encode_value = _encoder()


class EncodedFrame(Mapping[str, Any]):
    """A Frame kept only as JSON; each access decodes a copy.

    Attributes:
        json: the whole frame.
        texts: the texts of its variables that could contain a secret.
    """

    __slots__ = ("json", "texts")

    def __init__(self, json: str, texts: Sequence[str]) -> None:
        self.json = json
        self.texts = texts

    def __getitem__(self, name: str) -> Any:
        return _own(self)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_own(self))

    def __len__(self) -> int:
        return len(_own(self))

    def __repr__(self) -> str:
        return self.json


class EncodedList(Sequence[Any]):
    """A list kept only as the JSON of each item; each access decodes a copy.

    Attributes:
        texts: the JSON of the items, in order.
    """

    __slots__ = ("texts",)

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: Union[int, slice]) -> Any:
        return [*self][index] if isinstance(index, slice) else json.loads(self.texts[index])

    def __iter__(self) -> Iterator[Any]:
        return iter(json.loads(self.json))  # all at once, in a third of the time

    def __eq__(self, other: object) -> bool:
        return [*self] == ([*other] if type(other) is EncodedList else other)

    def __repr__(self) -> str:
        return self.json

    @property
    def json(self) -> str:
        return f"[{','.join(self.texts)}]"


def to_json(event: Mapping[str, Any]) -> str:
    """Return the JSON of the whole event; raises like ``encode_value``."""
    return _object(event, _ENCODERS)


def own_copy(part: _Part) -> _Part:
    """Return a deep copy of an event or a frame, which may be changed at any depth."""
    copy: _Part = _own(part)
    return copy


def _own(value: Any) -> Any:
    if type(value) is EncodedFrame:
        return json.loads(value.json)
    if isinstance(value, dict):
        return {key: _own(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_own(item) for item in value]
    return [*value] if type(value) is EncodedList else value


def _object(members: Mapping[str, Any], encoders: dict[str, Callable[[Any], str]]) -> str:
    """Encode ``members``; those with an encoder in ``encoders`` come last, so that the short ones come first."""
    rest = {name: value for name, value in members.items() if name not in encoders}
    texts = [encode_value(rest)[1:-1]] if rest else []
    texts += [f'"{name}":{encode(members[name])}' for name, encode in encoders.items() if name in members]
    return "{" + ",".join(texts) + "}"


def _frames(frames: Any) -> str:
    if not isinstance(frames, list):
        return encode_value(frames)
    texts = [frame.json if type(frame) is EncodedFrame else encode_value(frame) for frame in frames]
    return "[" + ",".join(texts) + "]"


def _holders(holders: Any) -> str:
    """Encode exceptions, or other objects that have frames."""
    if not isinstance(holders, list):
        return encode_value(holders)
    texts = [_object(one, {"frames": _frames}) if isinstance(one, dict) else encode_value(one) for one in holders]
    return "[" + ",".join(texts) + "]"


def _items(items: Any) -> str:
    return items.json if type(items) is EncodedList else encode_value(items)


_ENCODERS: dict[str, Callable[[Any], str]] = {"exceptions": _holders, "stack": _frames, "breadcrumbs": _items}
