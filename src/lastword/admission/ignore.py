"""``ignore_errors``: the classes of exceptions that are not to be reported, themselves or by their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Union

from lastword.interruption import failures

# The descriptors of ``type`` itself: a metaclass of the application may say anything, or raise.
_ancestors_of = type.__dict__["__mro__"].__get__
_name_of = type.__dict__["__name__"].__get__
_qualname_of = type.__dict__["__qualname__"].__get__
_module_of = type.__dict__["__module__"].__get__


def names_of(kind: type) -> tuple[str, str]:
    """The bare name of a class, and the dotted one with its module."""
    name, qualname = "".join((_name_of(kind),)), "".join((_qualname_of(kind),))  # of a subclass of str, the text itself
    try:
        module: Any = _module_of(kind)
    except failures(AttributeError):  # the program has deleted it
        module = None
    return name, f"{module}.{qualname}" if type(module) is str else name


#: Groups in groups, of one that is ignored.
_MAX_DEPTH = 50


class Ignored:
    """Recognises what an ``except`` clause with these classes would catch: an exception of a class or a subclass.

    A group too, of which it would catch each member; ``members_of`` gives these, () for what is no group.
    """

    def __init__(
        self,
        listed: Iterable[Union[type[BaseException], str]],
        members_of: Callable[[BaseException], Any] = lambda _: (),
    ) -> None:
        self._members_of = members_of
        names, classes = [], {}
        for one in listed:
            if type(one) is str:
                names.append(one)
            else:
                classes[id(one)] = one  # by identity: comparing two classes may ask their metaclasses
        self._names, self._classes = frozenset(names), classes

    def has(self, error: BaseException) -> bool:
        return bool(self._classes or self._names) and self._has(error, _MAX_DEPTH)

    def _has(self, error: BaseException, levels: int) -> bool:
        if self._lists(type(error)):
            return True
        members = self._members_of(error)
        return bool(members) and levels > 0 and all(self._has(member, levels - 1) for member in members)

    def _lists(self, cls: type) -> bool:
        ancestors = _ancestors_of(cls)
        if any(id(kind) in self._classes for kind in ancestors):
            return True
        return bool(self._names) and any(not self._names.isdisjoint(names_of(kind)) for kind in ancestors)
