"""Loaded by every Python that ``lastword run`` starts, and by their children: this directory is on their PYTHONPATH.

The interpreter may be of any version, with or without lastword installed. Nothing of lastword is imported until the
program imports a package that has a drop-in.
"""
# mypy: ignore-errors

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


class _Waiting(object):  # noqa: UP004
    def __init__(self, packages):
        self.packages = packages

    def find_spec(self, name, path=None, target=None):
        if name not in self.packages:
            return None
        packages, self.packages = self.packages, ()
        try:
            from lastword.compat import install
        except ImportError:  # an environment without lastword: import the package itself
            return None
        install(*packages)
        for finder in sys.meta_path:  # the finder that install() put in front of this one, or any other
            spec = finder.find_spec(name, path, target) if hasattr(finder, "find_spec") else None
            if spec is not None:
                return spec
        return None


def _load_the_next():
    """Load the sitecustomize that this one hides."""
    path = sys.path[:]
    sys.path[:] = [entry for entry in path if os.path.abspath(entry) != _HERE]
    mine = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        sys.modules["sitecustomize"] = mine
        if getattr(error, "name", "sitecustomize") != "sitecustomize":
            raise
    finally:
        sys.path[:] = path


_packages = [name for name in os.environ.get("LASTWORD_RUN_COMPAT", "").split(",") if name]
if _packages:
    sys.meta_path.insert(0, _Waiting(_packages))
_load_the_next()
