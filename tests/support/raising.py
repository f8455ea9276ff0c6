"""Objects, classes and texts of a program that raise whatever is asked of them, each time that code of theirs runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Panic(BaseException):
    """Such as PyO3 raises where Rust code panics: no Exception."""


#: What code of the program may raise where it should answer.
RAISED: tuple[type[BaseException], ...] = (
    *(KeyboardInterrupt, GeneratorExit, Panic, MemoryError, RecursionError, StopIteration, ValueError, TimeoutError),
    *(LookupError, AttributeError, TypeError, OSError, FileNotFoundError),
)

_KEPT = frozenset(
    (
        *(
            "__new__",
            "__init__",
            "__init_subclass__",
            "__subclasshook__",
            "__class_getitem__",
            "__call__",
            "__prepare__",
        ),
        *("__getattribute__", "__getattr__", "mro"),
    )
)
_METHODS = (
    *("__bool__", "__len__", "__iter__", "__next__", "__fspath__", "__index__", "__int__", "__float__", "__complex__"),
    *(
        "__bytes__",
        "__enter__",
        "__exit__",
        "__await__",
        "__aiter__",
        "__get__",
        "__set__",
        "__contains__",
        "__getitem__",
    ),
    *("__missing__", "__reversed__", "__length_hint__", "__instancecheck__", "__subclasscheck__", "__format__"),
    *("keys", "items", "values", "get", "copy", "read", "close", "get_source", "getMessage", "get_context"),
)
_PROPERTIES = (
    *(
        "__class__",
        "__dict__",
        "__traceback__",
        "__cause__",
        "__context__",
        "__suppress_context__",
        "__notes__",
        "args",
    ),
    *("exceptions", "_exceptions", "filename", "lineno", "offset", "text", "code", "name", "origin", "_fields"),
)
_OF_CLASSES = ("__name__", "__class__", "__dict__", "__mro__", "__bases__", "_fields")


class Switch:
    """Makes them. As long as ``kind`` is set they raise it; ``calls`` says how often."""

    def __init__(self) -> None:
        self.kind: type[BaseException] | None = None
        self.calls = 0

    @contextmanager
    def on(self, kind: type[BaseException]) -> Iterator[None]:
        self.kind = kind
        try:
            yield
        finally:
            self.kind = None

    def new(self, base: Any, *arguments: Any, how: str = "methods") -> Any:
        """An object of a ``new_class``."""
        made: Any = base.__new__(self.new_class(base, how), *arguments)
        if arguments and issubclass(base, (list, set, dict)):
            base.__init__(made, *arguments)
        return made

    def new_class(self, base: Any, how: str = "methods", name: str = "Hostile") -> Any:
        """A subclass of ``base`` whose methods and usual properties raise; where ``how`` is ``attributes``, any
        attribute; where it is ``class``, also whatever the class itself is asked for.
        """
        body = self._methods(base)
        body.update({name: self._property(base, name) for name in _PROPERTIES})
        if how != "methods":
            body["__getattribute__"] = self._method(base.__getattribute__)
        meta = type(base)
        if how == "class":
            of_meta = self._methods(type)
            of_meta.update({name: self._property(type, name) for name in _OF_CLASSES})
            of_meta["__getattribute__"] = self._method(type.__getattribute__)
            meta = type("Meta", (meta,), of_meta)
        return meta(name, (base,), body)

    def _methods(self, base: type) -> dict[str, Any]:
        own = {name for name in dir(base) if callable(getattr(base, name, None))}
        return {name: self._method(getattr(base, name, None)) for name in own.union(_METHODS) - _KEPT}

    def _method(self, original: Any) -> Callable[..., Any]:
        """It raises, or does what it always did."""

        def method(*arguments: Any, **options: Any) -> Any:
            if self.kind is not None:
                self.calls += 1
                raise self.kind
            return original(*arguments, **options) if callable(original) else None

        return method

    def _property(self, base: type, name: str) -> property:
        found: Any = next((vars(one)[name] for one in base.__mro__ if name in vars(one)), None)

        def read(owner: Any) -> Any:
            return found.__get__(owner, type(owner)) if hasattr(found, "__get__") else None

        return property(self._method(read))
