"""The import rule of docs/ARCHITECTURE.md, held against the source; and the checker held against planted violations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.layers import SourceTree, imports_at_load, lazy_imports, read_layers, upward_imports

ROOT = Path(__file__).parents[2]

#: Layers whose first module comes with a later version.
TO_COME: set[str] = set()

#: What the flusher alone may load; a program that reports errors never pays for it.
READ_HALF = (
    "lastword.flusher",
    "lastword.transport",
    "requests",
    "psutil",
)

#: Where code runs while an event is captured: under a signal handler, in a finalizer, at interpreter exit.
CAPTURE_PATH = (
    *("recorder", "assembly", "launch", "capture", "scope", "hooks", "admission", "scrub", "spool", "wire", "config"),
    "event",
)

Plant = Callable[..., SourceTree]


@pytest.fixture(scope="module")
def tree() -> SourceTree:
    """The real package."""
    return SourceTree(ROOT / "src" / "lastword")


@pytest.fixture(scope="module")
def layers() -> list[list[str]]:
    """The real list."""
    return read_layers((ROOT / "docs" / "ARCHITECTURE.md").read_text("utf-8"))


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Makes a small package out of file names and their content; ``__`` in a name stands for a folder."""

    def make(**files: str) -> SourceTree:
        for name, content in {"__init__": "", **files}.items():
            path = tmp_path / "lastword" / f"{name if name.startswith('__') else name.replace('__', '/', 1)}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, "utf-8")
        return SourceTree(tmp_path / "lastword")

    return make


class TestTheSource:
    """What is true of src/lastword."""

    def test_every_import_points_down_the_list(self, tree: SourceTree, layers: list[list[str]]) -> None:
        """A module imports only what stands on a lower line, wherever in the file the import stands."""
        assert upward_imports(tree, layers) == []

    def test_the_list_and_the_source_name_the_same_rooms(self, tree: SourceTree, layers: list[list[str]]) -> None:
        """Every module belongs to a layer, and every layer has a module, save those announced for later."""
        assert tree.layers() == {name for line in layers for name in line} - TO_COME

    def test_a_program_that_reports_errors_never_loads_the_read_half(self, tree: SourceTree) -> None:
        """Neither `import lastword` nor `init` reaches the flusher or one of the dependencies."""
        for loaded in ("lastword", "lastword.client", "lastword.listener"):
            assert imports_at_load(tree, loaded, READ_HALF) == []

    def test_nothing_is_imported_while_an_event_is_captured(self, tree: SourceTree) -> None:
        """An import in mid-capture can meet a held import lock, a full descriptor table or a gone file system."""
        assert lazy_imports(tree, CAPTURE_PATH) == []

    def test_no_context_variable_is_set_by_a_capture(self, tree: SourceTree) -> None:
        """It would crash the program where a finalizer captures in the midst of another set (see `nesting`)."""
        users = {
            module
            for module, imports in tree.modules.items()
            for found in imports
            if found.target.startswith("contextvars") and not found.for_typing
        }
        assert users == {
            "lastword.scope.context",  # calls of the program's own
            "lastword.scope.breadcrumbs",  # not from finalizers while garbage is collected
            "lastword.scope.of_asyncio",  # copies of contexts, of which it sets none
            "lastword.flusher.upkeep",
        }

    def test_one_module_alone_can_reach_the_network(self, tree: SourceTree) -> None:
        """`requests` is imported by http_sender and by nothing else."""
        importers = {
            module for module, imports in tree.modules.items() for found in imports if found.target == "requests"
        }
        assert importers == {"lastword.transport.http_sender"}


class TestTheChecker:
    """It sees what it is there to see."""

    LAYERS = read_layers(
        "<!-- layers: top to bottom -->\n```\ncli\nsdk\nflusher | launch\ncapture | spool | http_sender\nevent\n```\n"
    )

    @pytest.mark.parametrize(
        ("statement", "imported"),
        [
            ("import lastword.spool.writer", "lastword.spool.writer"),
            ("import json, lastword.spool", "lastword.spool"),
            ("from lastword.spool import writer", "lastword.spool.writer"),
            ("from lastword import spool", "lastword.spool"),
            ("from ..spool.writer import Writer", "lastword.spool.writer"),
            ("from .. import spool", "lastword.spool"),
            ("def f():\n    from lastword.spool import Writer", "lastword.spool"),
            ("class C:\n    async def f(self):\n        import lastword.spool", "lastword.spool"),
            ("if TYPE_CHECKING:\n    import lastword.spool", "lastword.spool"),
            ("try:\n    pass\nfinally:\n    import lastword.spool", "lastword.spool"),
            ("f = lambda: importlib.import_module('lastword.spool')", "lastword.spool"),
            ("__import__('lastword.spool')", "lastword.spool"),
        ],
    )
    def test_an_import_of_a_neighbour_is_seen_in_every_form(self, plant: Plant, statement: str, imported: str) -> None:
        """Capture and spool share a line, so neither may import the other."""
        planted = plant(capture____init__="", capture__frames=statement, spool____init__="", spool__writer="")
        (sentence,) = upward_imports(planted, self.LAYERS)
        assert sentence.startswith("capture/frames.py:")
        assert sentence.endswith(f" imports {imported}: spool stands beside capture")

    @pytest.mark.parametrize("statement", ["import lastword", "from lastword import init", "from . import init"])
    def test_the_package_itself_counts_as_sdk(self, plant: Plant, statement: str) -> None:
        """The public names are above the modules that implement them."""
        (sentence,) = upward_imports(plant(event=statement), self.LAYERS)
        assert sentence == "event.py:1 imports lastword: sdk stands above event"

    def test_the_main_module_counts_as_cli(self, plant: Plant) -> None:
        """`python -m lastword` is the command line, and nothing below imports it."""
        planted = plant(__main__="import lastword.cli", cli="import lastword", sdk="import lastword.__main__")
        assert upward_imports(planted, self.LAYERS) == ["sdk.py:1 imports lastword.__main__: cli stands above sdk"]

    def test_imports_downwards_and_within_a_layer_are_fine(self, plant: Plant) -> None:
        """Down, inside one package, and outside of ours: nothing to say."""
        planted = plant(
            __init__="from lastword.sdk import init",
            sdk="from . import capture\nimport requests",
            capture____init__="from .frames import f\nfrom lastword.event import Event",
            capture__frames="import lastwordish",
            event="",
        )
        assert upward_imports(planted, self.LAYERS) == []

    def test_the_read_half_is_found_behind_any_number_of_modules(self, plant: Plant) -> None:
        """Imports of a worker are followed from module to module; later ones are not."""
        planted = plant(
            __init__="from lastword.sdk import init",
            sdk="def drain():\n    import psutil\nif TYPE_CHECKING:\n    import requests\nimport lastword.spool.writer",
            spool____init__="import psutil",
            spool__writer="if True:\n    from lastword.flusher.loop import run",
            flusher____init__="",
            flusher__loop="import requests",
        )
        assert imports_at_load(planted, "lastword", READ_HALF) == [
            "flusher/loop.py:1 imports requests",
            "spool/__init__.py:1 imports psutil",
            "spool/writer.py:2 imports lastword.flusher.loop",
        ]

    def test_an_import_inside_a_function_of_the_capture_path_is_found(self, plant: Plant) -> None:
        """Elsewhere it may be the right thing to do."""
        planted = plant(event="def f():\n    import json", sdk="def f():\n    import json")
        assert lazy_imports(planted, CAPTURE_PATH) == ["event.py:2 imports json inside a function"]
