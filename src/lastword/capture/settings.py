"""How events are to be captured, as ``client`` decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Optional, Union

from lastword.capture.call_site import CallSites
from lastword.capture.own_repr import OwnReprs, PlainReprs
from lastword.capture.variables import VariableReader
from lastword.event import Needs


class CaptureSettings:
    """How events are to be taken.

    Attributes:
        needs: what the wire format of the destination wants beyond an exception and its stack.
        is_sensitive: whether the value of a variable of that name must not be looked at.
        environment: such as ``production``; at most 200 characters are kept.
        release: the version of the program; at most 200 characters are kept.
        local_variables: whether the local variables of frames are read at all.
        all_threads: whether the stacks of the other threads are taken, also where ``needs`` has no use for them.
        repr_of: classes, or their names, whose objects are shown by their own ``__repr__``, subclasses included.
        plain_reprs: whether all values are shown by their own ``__repr__``, cut at its end, instead.
        scrub_text: takes the secrets out of what such a ``__repr__`` says.
        scrub_source: takes them out of lines of source, and gives back as many lines.
        context_lines: how many lines of source are shown above a frame's own, and below it.
        in_app: names of modules that are the program's own, with what is in them, wherever their files are.
        not_in_app: names of modules that are not; the longest name that fits a module counts.
        syntax_error_places: whether the line that could not be parsed is shown as a frame.
        sites: what is known of the places where frames are.
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
        self.is_sensitive = is_sensitive
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
        """Those of one event; None where no object is asked."""
        if self.plain_reprs:
            return PlainReprs()
        return OwnReprs(self.repr_of, self.scrub_text) if self.repr_of else None
