"""An Event as JSON text, of which capture has written the larger part already.

Frames make up nearly all of an event, and nearly all of a frame is the same each time: capture keeps the JSON of that.
Breadcrumbs become JSON when they are added. Most events never need either as anything else. JSON is ASCII without
spaces; NaN and infinities are refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Union, overload

from lastword.event import Event, Frame

#: A text as a JSON string, with its quotes.
encode_text = json.encoder.encode_basestring_ascii


def _encoder() -> Callable[[Any], str]:
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # PyPy
        return json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
    # JSONEncoder makes one of these for each call, which takes longer than all the rest for a small part of an event.
    # The difference is that a cycle, which nothing but a hook can have made, ends in RecursionError.
    in_pieces = make(None, _refuse, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, False)
    return lambda value: "".join(in_pieces(value, 0))


def _refuse(value: object) -> None:
    raise TypeError(f"a {type(value).__name__} is no JSON")


#: A value as JSON; raises ValueError, TypeError or RecursionError for what is none.
encode_value = _encoder()


class EncodedFrame(Mapping[str, Any]):
    """A Frame of which there is only the JSON; whoever looks at it gets a copy, read for that.

    Attributes:
        json: the whole frame.
        texts: those of its variables in which a secret could stand.
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
    """A list of which there is only the JSON of each item; whoever looks at one gets a copy, read for that.

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
    """The whole event; raises as ``encode_value`` does."""
    return _object(event, _ENCODERS)


def own_copy(event: Event) -> Event:
    """An event that shares nothing with others, so that it may be changed at any depth."""
    copy: Event = _own(event)
    return copy


def own_frame(frame: Frame) -> Frame:
    """The same of a frame."""
    copy: Frame = _own(frame)
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
    """``members``, some of them by encoders of their own, which come last: what is short comes first."""
    rest = {name: value for name, value in members.items() if name not in encoders}
    texts = [encode_value(rest)[1:-1]] if rest else []
    texts += [f'"{name}":{encode(members[name])}' for name, encode in encoders.items() if name in members]
    return "{" + ",".join(texts) + "}"


def _frames(frames: Any) -> str:
    if not isinstance(frames, list):
        return encode_value(frames)
    return (
        "[" + ",".join([frame.json if type(frame) is EncodedFrame else encode_value(frame) for frame in frames]) + "]"
    )


def _holders(holders: Any) -> str:
    """Exceptions, or whatever else has frames of its own."""
    if not isinstance(holders, list):
        return encode_value(holders)
    texts = [_object(one, {"frames": _frames}) if isinstance(one, dict) else encode_value(one) for one in holders]
    return "[" + ",".join(texts) + "]"


def _items(items: Any) -> str:
    return items.json if type(items) is EncodedList else encode_value(items)


_ENCODERS: dict[str, Callable[[Any], str]] = {"exceptions": _holders, "stack": _frames, "breadcrumbs": _items}
