"""Reads who imports whom out of the source, and holds it to the layers that docs/ARCHITECTURE.md lists."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "lastword"
LIST_STARTS_AFTER = "<!-- layers: top to bottom"


def read_layers(page: str) -> list[list[str]]:
    """The list in the text of docs/ARCHITECTURE.md: lines from top to bottom, each with the names that share it."""
    block = page.partition(LIST_STARTS_AFTER)[2].split("```")[1]
    return [[name.strip() for name in line.split("|")] for line in block.splitlines() if line.strip()]


@dataclass(frozen=True)
class Import:
    """One module named by an import; ``place`` is the file, from the package's folder on, with the line."""

    place: str
    target: str
    in_function: bool
    for_typing: bool  # under ``if TYPE_CHECKING``: never runs

    @property
    def at_load(self) -> bool:
        """Whether it runs whenever the importing module is loaded."""
        return not (self.in_function or self.for_typing)


class SourceTree:
    """The package as it lies in ``directory``, the folder that holds its ``__init__.py``."""

    def __init__(self, directory: Path) -> None:
        self.modules: dict[str, list[Import]] = {}
        paths = {_dotted(path.relative_to(directory)): path for path in sorted(directory.rglob("*.py"))}
        for module, path in paths.items():
            package = module if path.name == "__init__.py" else module.rpartition(".")[0]
            reader = _ImportReader(str(path.relative_to(directory)), package.split("."), paths.keys())
            reader.visit(ast.parse(path.read_text("utf-8")))
            self.modules[module] = reader.found

    def layers(self) -> set[str]:
        """The names in the list that the tree has something for."""
        return {layer_of(module) for module in self.modules}

    def loaded_with(self, module: str) -> list[str]:
        """The modules of the package that loading ``module`` loads, itself included."""
        loaded: set[str] = set()
        waiting = [module]
        while waiting:
            name = waiting.pop()
            if name in self.modules and name not in loaded:
                loaded.add(name)
                waiting.append(name.rpartition(".")[0])
                waiting += [found.target for found in self.modules[name] if found.at_load]
        return sorted(loaded)


class _ImportReader(ast.NodeVisitor):
    """Collects every import of one file, wherever it stands, resolved to the module that it reaches."""

    def __init__(self, file: str, package: list[str], modules: Iterable[str]) -> None:
        self.found: list[Import] = []
        self._file = file
        self._package = package
        self._modules = modules
        self._in_function = False
        self._for_typing = False

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(node, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        above = self._package[: len(self._package) + 1 - node.level] if node.level else []
        source = ".".join([*above, *([node.module] if node.module else [])])
        for alias in node.names:
            inner = f"{source}.{alias.name}"
            self._add(node, inner if inner in self._modules else source)

    def visit_Call(self, node: ast.Call) -> None:
        name = getattr(node.func, "attr", getattr(node.func, "id", None))
        first = node.args[0] if node.args else None
        if name in ("import_module", "__import__") and isinstance(first, ast.Constant) and isinstance(first.value, str):
            self._add(node, first.value)
        self.generic_visit(node)

    def visit(self, node: ast.AST) -> None:
        outer = self._in_function
        self._in_function = outer or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        super().visit(node)
        self._in_function = outer

    def visit_If(self, node: ast.If) -> None:
        outer, self._for_typing = self._for_typing, self._for_typing or _asks_for_typing(node.test)
        for statement in node.body:
            self.visit(statement)
        self._for_typing = outer
        for statement in node.orelse:
            self.visit(statement)

    def _add(self, node: ast.stmt | ast.expr, target: str) -> None:
        self.found.append(Import(f"{self._file}:{node.lineno}", target, self._in_function, self._for_typing))


def layer_of(module: str) -> str:
    """The name in the list under which a module of the package counts."""
    parts = module.split(".")
    return {PACKAGE: "sdk", "__main__": "cli"}.get(parts[:2][-1], parts[:2][-1])


def upward_imports(tree: SourceTree, layers: list[list[str]]) -> list[str]:
    """What breaks the rule that imports only point down, one sentence each."""
    depth = {name: number for number, line in enumerate(layers) for name in line}
    broken = []
    for module, imports in tree.modules.items():
        for found in imports:
            importer, imported = layer_of(module), layer_of(found.target)
            if not is_inside(found.target, [PACKAGE]) or importer == imported or {importer, imported} - depth.keys():
                continue
            if depth[imported] <= depth[importer]:
                relation = "beside" if depth[imported] == depth[importer] else "above"
                broken.append(f"{found.place} imports {found.target}: {imported} stands {relation} {importer}")
    return broken


def imports_at_load(tree: SourceTree, root: str, forbidden: Iterable[str]) -> list[str]:
    """The imports by which loading ``root`` would load a forbidden module, one sentence each."""
    return [
        f"{found.place} imports {found.target}"
        for module in tree.loaded_with(root)
        for found in tree.modules[module]
        if found.at_load and is_inside(found.target, forbidden)
    ]


def lazy_imports(tree: SourceTree, layers: Iterable[str]) -> list[str]:
    """The imports that run inside a function of one of ``layers``, one sentence each."""
    return [
        f"{found.place} imports {found.target} inside a function"
        for module, imports in tree.modules.items()
        for found in imports
        if found.in_function and layer_of(module) in layers
    ]


def is_inside(module: str, packages: Iterable[str]) -> bool:
    """Whether a dotted name is that of one of ``packages`` or of something in it."""
    return any(module == package or module.startswith(package + ".") for package in packages)


def _dotted(path: Path) -> str:
    parts = [PACKAGE, *path.with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _asks_for_typing(test: ast.expr) -> bool:
    return getattr(test, "attr", getattr(test, "id", None)) == "TYPE_CHECKING"
