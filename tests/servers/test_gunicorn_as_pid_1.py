"""gunicorn as the first process of its container: it inherits the flusher, and waits for it as for a worker.

gunicorn 20.1 took the exit status of such an orphan for one of its workers', and shut down on a 3.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.support import needs
from tests.support.programs import wait_until
from tests.support.promise import Section, promise
from tests.support.sites import FAILURES, see_all_settled, sites

pytestmark = promise(
    Section.FLUSHER_MODES,
    "Every orphan that gunicorn as PID 1 reaps has ended with status 0",
    broken_by="a flusher that ends with 3",
)

_UNSHARE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


def _may_have_namespaces() -> bool:
    return bool(shutil.which("unshare")) and subprocess.run([*_UNSHARE, "true"], capture_output=True).returncode == 0


#: Runs its arguments as PID 1 of a namespace, and hands on SIGTERM, which `unshare` keeps to itself.
AS_PID_1 = f"""\
import os, signal, subprocess, sys
from pathlib import Path

namespace = subprocess.Popen([*{_UNSHARE!r}, *sys.argv[1:]], close_fds=False)

def hand_on(number, frame):
    for child in Path(f"/proc/{{namespace.pid}}/task/{{namespace.pid}}/children").read_text().split():
        os.kill(int(child), number)

signal.signal(signal.SIGTERM, hand_on)
sys.exit(namespace.wait())
"""

#: A configuration of gunicorn that writes down for whom it has waited: "waiting pid, pid, status".
WRITES_DOWN_ITS_WAITS = """\
import os

waitpid = os.waitpid

def written_down(*arguments):
    pid, status = waitpid(*arguments)
    if pid:
        with open("waits", "a") as waits:
            waits.write(f"{os.getpid()} {pid} {status}\\n")
    return pid, status

os.waitpid = written_down
"""


def pid_in_its_namespace(pid: int) -> int:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("NSpid:")]
    return int(line.split()[-1])


@needs.installed("gunicorn")
@needs.capability(_may_have_namespaces(), "PID namespaces that this user may make")
def test_every_reaped_process_has_ended_with_status_0(tmp_path: Path) -> None:
    """The flusher too, which leaves while gunicorn runs; gunicorn goes on, and ends as it should."""
    with sites(tmp_path, ["process"]) as [site]:
        (site.folder / "gunicorn.conf.py").write_text(WRITES_DOWN_ITS_WAITS)

        def waits() -> list[tuple[int, ...]]:
            lines = (site.folder / "waits").read_text().splitlines() if (site.folder / "waits").exists() else []
            return [tuple(map(int, line.split())) for line in lines]

        (site.folder / "as_pid_1.py").write_text(AS_PID_1)
        command = [sys.executable, "as_pid_1.py", sys.executable, "-m", "gunicorn", "--workers", "2"]
        command += ["--bind", "fd://{fd}", "--log-level", "warning", "application:application"]
        with site.served_by(*command):
            for _ in range(FAILURES):
                site.fail()
            wait_until(site.all_arrived, f"all of {site.failed}")
            flusher = site.leader()
            inside = pid_in_its_namespace(flusher)
            os.kill(flusher, signal.SIGTERM)
            wait_until(lambda: (1, inside, 0) in waits(), "gunicorn's taking note of its end")
            site.fail()
        assert {status for _, _, status in waits()} == {0}
        see_all_settled(site)
