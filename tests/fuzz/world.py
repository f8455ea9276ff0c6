"""A directory for one target: a spool to play with, a home, and a tree beside them that nothing may touch."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from lastword.spool.layout import Layout


class World:
    """``spool`` may become anything; all that lies beside it has to stay as it is.

    Attributes:
        canary: a directory of files and directories; the target of hostile links.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self.spool = self.directory / "spool"
        self.canary = self.directory / "canary"
        (self.canary / "inner").mkdir(parents=True)
        (self.canary / "kept.txt").write_text("nobody may change this\n")
        (self.canary / "inner" / "000001.seg").write_text("nor this\n")
        (self.canary / "kept.record").write_text("{}\n")
        (self.canary / ("0" * 32)).mkdir()
        (self.canary / ("0" * 32) / "alive.lock").touch()
        self._before = self._look()

    def layout(self) -> Layout:
        """The spool, new and empty."""
        self.clear()
        layout = Layout(str(self.spool))
        layout.prepare()
        return layout

    def clear(self) -> None:
        if self.spool.is_symlink() or self.spool.is_file():
            self.spool.unlink()
        elif self.spool.exists():
            shutil.rmtree(self.spool)

    def touched(self) -> str:
        """What is another beside the spool; '' where nothing is."""
        now = self._look()
        changed = {name for name in now.keys() | self._before.keys() if now.get(name) != self._before.get(name)}
        return ", ".join(sorted(changed))

    def _look(self) -> dict[str, tuple[object, ...]]:
        seen: dict[str, tuple[object, ...]] = {}
        for parent, directories, files in os.walk(self.directory):
            if Path(parent) == self.directory:
                directories[:] = [name for name in directories if name != self.spool.name]
            for name in directories + [name for name in files if Path(parent, name) != self.spool]:
                path = os.path.join(parent, name)
                found = os.lstat(path)
                content = Path(path).read_bytes() if stat.S_ISREG(found.st_mode) else b""
                seen[path] = (found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns, content)
        return seen
