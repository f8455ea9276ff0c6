"""The settings of capture, made by ``client``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Optional, Union

from lastword.capture.call_site import CallSites
from lastword.capture.own_repr import OwnReprs, PlainReprs
from lastword.capture.variables import VariableReader
from lastword.event import Needs


class CaptureSettings:
    """The settings by which events are captured: options of ``Config``, and these.

    Attributes:
        needs: the data that the wire format of the destination needs beyond an exception and its stack.
        is_sensitive: whether the value of a variable of that name must not be read.
        plain_reprs: whether all values are shown by their own ``__repr__``, cut at its end, instead of ``repr_of``.
        scrub_text: removes secrets from texts of the program, such as a ``__repr__``.
        scrub_source: removes secrets from lines of source; returns as many lines.
        syntax_error_places: whether the line that could not be parsed is shown as a frame.
        sites: the cache of call sites.
        variables: reads the variables of frames, by ``is_sensitive``.
    """

    def __init__(
        self,
        *,
        needs: Needs,
        is_sensitive: Callable[[str], bool],
        environment: str = "",
        release: str = "",
        local_variables: bool = True,
        all_threads: bool = False,
        repr_of: tuple[Union[type, str], ...] = (),
        plain_reprs: bool = False,
        scrub_text: Callable[[str], str] = str,
        scrub_source: Callable[[Sequence[str]], list[str]] = list,
        context_lines: int = 5,
        in_app: tuple[str, ...] = (),
        not_in_app: tuple[str, ...] = (),
        syntax_error_places: bool = True,
    ) -> None:
        self.needs = needs
        self.environment = environment
        self.release = release
        self.local_variables = local_variables
        self.all_threads = all_threads
        self.repr_of = repr_of
        self.plain_reprs = plain_reprs
        self.scrub_text = scrub_text
        self.sites = CallSites(scrub_source, context_lines, in_app, not_in_app)
        self.syntax_error_places = syntax_error_places
        self.variables = VariableReader(is_sensitive)

    def own_reprs(self) -> Optional[OwnReprs]:
        """Return the reprs of one event; None if no object is shown by its own ``__repr__``."""
        if self.plain_reprs:
            return PlainReprs()
        return OwnReprs(self.repr_of, self.scrub_text) if self.repr_of else None
