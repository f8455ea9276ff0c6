"""A repr that runs no application code and costs the same for 50 bytes as for 50 MB.

Only exact builtin types are shown by their content; a subclass may have overridden anything, so it is shown, like
every other object, by its class and address. ``repr(x)`` of a Django QuerySet would query the database.

Most containers hold only a few numbers and short texts. For these, Python's own repr is as safe and many times faster.
It reads a copy, because another thread may be changing the original.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from lastword.capture.safe_text import ELLIPSIS, class_path, clean
from lastword.event import FILTERED
from lastword.named_values import is_secret_flag, is_secret_name, is_value_key, names_a_secret, text_of_name

#: The most characters shown of a variable.
MAX_TEXT = 200

MAX_DEPTH = 4

_MAX_KEY = 1000

#: A dict with more members is not checked for a name and its value.
_FEW_KEYS = 20
_DASHES = ("-", b"-")
_FLAG = "'-"  # the beginning, in a repr, of a text that may be a command-line flag

# The cost of an int's repr grows with the square of its length; these have about 154 digits.
_MOST = 1 << 512
_LEAST = -_MOST

#: A container with a longer text (_LONG) or more members (_MANY) is read member by member until the limit is reached;
#: so is a container with tuples in it, unless it and they have few members (_FEW).
_LONG = 200
_MANY = 64
_FEW = 8

#: Sizes above which a value is not converted to text just to show its beginning.
_LONG_TEXT = 100_000  # characters; a member of a container counts as at least one
_LONG_INT = 14_000  # bits, some 4,200 digits
_CONTAINER = 20  # counted per container besides its members, so that counting one that contains itself ends

#: Names known to be harmless are remembered: at most this many, of at most this many characters each.
_MAX_NAMES_KNOWN = 1024
_MAX_HARMLESS = 50

_module_dict: Callable[[ModuleType], dict[str, Any]] = vars(ModuleType)["__dict__"].__get__


#: Types are compared by their addresses, because hashing a class may run code of its metaclass.
_PLAIN = frozenset(map(id, (type(None), bool, float, complex, type(Ellipsis), type(NotImplemented))))


def bounded_repr(value: object, limit: int) -> str:
    """Return ``value`` in at most ``limit`` characters, whatever the names of its keys; see ``BoundedRepr``."""
    return _UNCONDITIONAL.of(value, limit)


def is_shown_by_content(kind: type) -> bool:
    """Return whether a value of exactly this type is shown by more than its class and address."""
    return id(kind) in _UNCONDITIONAL._writers


def has_long_text(value: object) -> bool:
    """Return whether ``str`` of a builtin value would take long, its members included.

    Long is more than 100,000 characters, or an int of more digits than Python converts by default. Other objects are
    not counted: only they know the length of their text.
    """
    left = _LONG_TEXT
    waiting = [value]
    while waiting:
        value = waiting.pop()
        kind = type(value)
        if kind is str or kind is bytes or kind is bytearray:
            left -= len(value)  # type: ignore[arg-type]
        elif kind is int:
            left -= _LONG_TEXT if value.bit_length() > _LONG_INT else 1  # type: ignore[attr-defined]
        elif kind is dict:
            left -= _CONTAINER + 2 * len(value)  # type: ignore[arg-type]
            if left > 0:
                waiting += [*value, *value.values()]  # type: ignore[misc, attr-defined]
        elif kind is list or kind is tuple or kind is set or kind is frozenset:
            left -= _CONTAINER + len(value)  # type: ignore[arg-type]
            if left > 0:
                waiting += value  # type: ignore[arg-type]
        if left <= 0:
            return True
    return False


class BoundedRepr:
    """Converts values to text of bounded length.

    ``is_sensitive`` is called with names: keys of dicts, and names that stand before or beside their value (see
    ``named_values``). The value of a sensitive name is not read and shows as ``[filtered]``.
    """

    def __init__(self, is_sensitive: Callable[[str], bool]) -> None:
        self._is_sensitive = is_sensitive
        self._harmless: set[str] = set()
        writers: dict[type, Callable[..., str]] = {
            int: _int,
            **dict.fromkeys((str, bytes, bytearray), _sliced),
            list: self._list,
            tuple: self._tuple,
            set: self._set,
            frozenset: self._frozenset,
            dict: self._dict,
            type: _class,
            **dict.fromkeys((FunctionType, BuiltinFunctionType), _function),
            ModuleType: _module,
        }
        self._writers: dict[int, Callable[..., str]] = dict.fromkeys(_PLAIN, _plain)
        self._writers.update((id(kind), write) for kind, write in writers.items())

    def of(self, value: object, limit: int) -> str:
        """Return ``value`` in at most ``limit`` characters; a cut shows as ``…``.

        Raises the interpreter's errors: RuntimeError when another thread changes a set or dict meanwhile,
        RecursionError when the stack is full.
        """
        return _cut(self._write(value, limit, 0), limit)

    def of_each(self, values: Iterable[object]) -> tuple[list[str], list[str]]:
        """Return the texts of many values, and those of the texts that could contain a secret.

        Each text has at most ``MAX_TEXT`` characters. Faster than ``of`` for each.
        """
        texts: list[str] = []
        may_have_secrets: list[str] = []
        for value in values:
            kind = type(value)
            # The most frequent types come first and need no call.
            if kind is str:
                text = repr(value) if len(value) <= MAX_TEXT else _sliced(value)  # type: ignore[arg-type]
            elif kind is int:
                if -(10**12) < value < 10**12:  # type: ignore[operator] # with fewer digits than any card number
                    texts.append(repr(value))
                    continue
                text = _int(value)  # type: ignore[arg-type]
            elif kind is dict:
                text = self._dict(value)  # type: ignore[arg-type]
            elif kind is list:
                text = self._list(value)  # type: ignore[arg-type]
            elif value is None or kind is bool or kind is float:
                texts.append(repr(value))
                continue
            else:
                write = self._writers.get(id(kind))
                if write is None:
                    texts.append(_cut(_object(value), MAX_TEXT))
                    continue
                text = write(value)
            if len(text) > MAX_TEXT:
                text = _cut(text, MAX_TEXT)
            texts.append(text)
            may_have_secrets.append(text)
        return texts, may_have_secrets

    def _write(self, value: object, limit: int, depth: int) -> str:
        return self._writers.get(id(type(value)), _object)(value, limit, depth)

    def _listed(self, opening: str, members: Sequence[object], closing: str, limit: int, depth: int) -> str:
        """Return the members between brackets; members beyond ``limit`` characters are not read."""
        if depth >= MAX_DEPTH:
            return opening + ELLIPSIS + closing
        text, filtered = opening, False
        for member in members:
            kind = type(member)
            is_flag = (kind is str or kind is bytes) and member[:1] in _DASHES  # type: ignore[index]
            text += (FILTERED if filtered and not is_flag else self._write(member, limit, depth + 1)) + ", "
            if len(text) > limit:
                return text
            filtered = is_flag and is_secret_flag(member, self._is_sensitive)
        return text[:-2] + closing

    def _list(self, value: list[object], limit: int = MAX_TEXT, depth: int = 0) -> str:
        members = value[:limit]  # a member takes at least two characters, so no more than ``limit`` are ever shown
        if len(members) == 2 and self._is_secret_pair(members[0]):
            return f"[{self._write(members[0], limit, depth + 1)}, {FILTERED}]"
        if _has_plain_repr(members):
            text = repr(members)
            if _FLAG not in text:
                return text
        return self._listed("[", members, "]", limit, depth)

    def _tuple(self, value: tuple[object, ...], limit: int = MAX_TEXT, depth: int = 0) -> str:
        if len(value) == 2 and self._is_secret_pair(value[0]):
            return f"({self._write(value[0], limit, depth + 1)}, {FILTERED})"
        members = value[:limit]
        if _has_plain_repr(members):
            text = repr(members)
            if _FLAG not in text:
                return text
        return self._listed("(", members, ",)" if len(members) == 1 else ")", limit, depth)

    def _set(self, value: set[object], limit: int = MAX_TEXT, depth: int = 0) -> str:
        return self._unordered("{", list(islice(value, limit)), "}", limit, depth) if value else "set()"

    def _frozenset(self, value: frozenset[object], limit: int = MAX_TEXT, depth: int = 0) -> str:
        if not value:
            return "frozenset()"
        return self._unordered("frozenset({", list(islice(value, limit)), "})", limit, depth)

    def _unordered(self, opening: str, members: list[object], closing: str, limit: int, depth: int) -> str:
        if _has_plain_repr(members):
            return opening + repr(members)[1:-1] + closing
        return self._listed(opening, members, closing, limit, depth)

    def _dict(self, value: dict[object, object], limit: int = MAX_TEXT, depth: int = 0) -> str:
        if not value:
            return "{}"
        are_harmless = False
        if len(value) <= _MANY:
            value = value.copy()
            for kind in map(type, value):
                if kind is not str:  # looking up a key in a set runs its __hash__
                    break
            else:
                are_harmless = self._harmless.issuperset(value)
                if are_harmless and _has_plain_repr(value.values()):
                    text = repr(value)
                    if _FLAG not in text:
                        return text
        if depth >= MAX_DEPTH:
            return "{" + ELLIPSIS + "}"
        text = "{"
        if are_harmless:
            for key, item in value.items():
                text += f"{_sliced(key, limit)}: {self._write(item, limit, depth + 1)}, "
                if len(text) > limit:
                    return text
            return text[:-2] + "}"
        items = list(islice(value.items(), limit))
        values_are_secret = len(items) <= _FEW_KEYS and self._is_named_value(items)
        for key, item in items:
            is_secret = self._names_a_secret(key) or (values_are_secret and is_value_key(key))
            shown = FILTERED if is_secret else self._write(item, limit, depth + 1)
            text += f"{self._write(key, limit, depth + 1)}: {shown}, "
            if len(text) > limit:
                return text
        return text[:-2] + "}"

    def _is_named_value(self, items: list[tuple[object, object]]) -> bool:
        """Return whether the items belong to an object with a name and a value, and the value is a secret."""
        for key, _ in items:
            if not (type(key) is str and key in self._harmless) and is_value_key(key):
                return names_a_secret(items, self._is_sensitive)
        return False

    def _is_secret_pair(self, name: object) -> bool:
        if type(name) is str:
            if name in self._harmless or not self._names_a_secret(name):
                return False
        elif id(type(name)) in self._writers and type(name) is not bytes:
            return False
        return is_secret_name(name, self._is_sensitive)

    def _names_a_secret(self, key: object) -> bool:
        if type(key) is not str:
            name = text_of_name(key)
            return name is not None and self._is_sensitive(name)
        if key in self._harmless:
            return False
        secret = self._is_sensitive(key if len(key) <= _MAX_KEY else key[:_MAX_KEY])
        # An object with a value key has to be checked as a whole.
        if not secret and len(key) <= _MAX_HARMLESS and not is_value_key(key):
            if len(self._harmless) >= _MAX_NAMES_KNOWN:
                self._harmless.clear()
            self._harmless.add(key)
        return secret


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + ELLIPSIS


def _has_plain_repr(members: Collection[object]) -> bool:
    """Return whether Python's own repr of a container with these members is fast, short and runs no application code.

    A few members may be tuples of a few members: tuples cannot change before the repr.
    """
    if len(members) > _MANY:
        return False
    for kind in map(type, members):
        if kind is not int:
            return _all_are_plain(members, with_tuples=len(members) <= _FEW)
    return not members or (min(members) > _LEAST and max(members) < _MOST)  # type: ignore[operator, type-var]


def _all_are_plain(members: Iterable[object], *, with_tuples: bool) -> bool:
    for member in members:
        kind = type(member)
        if kind is str:
            if len(member) > _LONG:  # type: ignore[arg-type]
                return False
        elif kind is int:
            if not _LEAST < member < _MOST:  # type: ignore[operator]
                return False
        elif kind is tuple:
            # A tuple of two may be a name and its secret.
            few = with_tuples and len(member) != 2 and len(member) <= _FEW  # type: ignore[arg-type]
            if not few or not _all_are_plain(member, with_tuples=False):  # type: ignore[arg-type]
                return False
        elif member is not None and kind is not bool and kind is not float and id(kind) not in _PLAIN:
            return False
    return True


def _object(value: object, limit: int = MAX_TEXT, depth: int = 0) -> str:
    return f"<{class_path(type(value))} object at 0x{id(value):x}>"


def _plain(value: object, limit: int = MAX_TEXT, depth: int = 0) -> str:
    return repr(value)


def _int(value: int, limit: int = MAX_TEXT, depth: int = 0) -> str:
    if _LEAST < value < _MOST:
        return repr(value)
    return f"<int of {value.bit_length()} bits>"


def _sliced(value: Any, limit: int = MAX_TEXT, depth: int = 0) -> str:
    if len(value) <= limit:
        return repr(value)
    # Cut before repr, so that a long text is neither copied nor escaped to show its beginning.
    return repr(value[:limit])[: limit - 1] + ELLIPSIS


def _class(value: type, limit: int = MAX_TEXT, depth: int = 0) -> str:
    return f"<class '{class_path(value)}'>"


def _function(value: Any, limit: int = MAX_TEXT, depth: int = 0) -> str:
    return f"<function {clean(value.__qualname__, limit)}>"


def _module(value: ModuleType, limit: int = MAX_TEXT, depth: int = 0) -> str:
    # Read from the dict, because a missing attribute of a module calls the module's own __getattr__.
    name = _module_dict(value).get("__name__")
    return f"<module '{clean(name, limit)}'>" if type(name) is str else _object(value)


_UNCONDITIONAL = BoundedRepr(lambda name: False)
