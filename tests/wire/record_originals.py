"""Record what the replaced packages send, as the tests compare it with ours.

Not a test, and nothing of those packages is kept but the requests that they made::

    python3 -m venv /tmp/originals
    /tmp/originals/bin/pip install backtracepython==0.4.3 booboo-sdk==0.16.0
    python -m tests.wire.record_originals /tmp/originals/bin/python

writes ``recorded/backtracepython.json`` and ``recorded/booboo-sdk.json``: for each situation the URL, the headers that
the package adds itself, and the body with everything that differs between two runs replaced by its type.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

from tests.wire.comparable import comparable_backtrace, comparable_booboo

RECORDED = Path(__file__).with_name("recorded")

BACKTRACE_SETUP = """
import backtracepython
backtracepython.initialize(endpoint=URL, token="TOKEN", exit_timeout=30,
    attributes={"environment": "production", "release": "r1", "level": LEVEL})
report_exception, report_message = backtracepython.send_last_exception, backtracepython.send_report
"""

BOOBOO_SETUP = """
import booboo
booboo.init(URL.replace("://", "://TOKEN@") + "/organisation/project", environment="production", release="r1")
report_exception, report_message = booboo.capture_exception, booboo.capture_message
"""

SITUATIONS = {
    "message": "situations.capture = lambda: report_message('deployed')\nsituations.announce()",
    "locals": "situations.fail = situations.refuse_card\nsituations.main()",
    "cause": "situations.fail = situations.lose_order\nsituations.main()",
    "context": "situations.fail = situations.lose_order_again\nsituations.main()",
    "no_source": "situations.fail = from_nowhere\nsituations.main()",
    "unhandled": "situations.fail = situations.find_order\nsituations.crash()",
}

PROGRAM = """
import situations
LEVEL, URL = {level!r}, {url!r}
{setup}
namespace = {{}}
exec(compile("def from_nowhere():\\n    raise OSError('no source')\\n", "<string>", "exec"), namespace)
from_nowhere = namespace["from_nowhere"]
situations.capture = report_exception
{situation}
"""


class Recorder(BaseHTTPRequestHandler):
    """Acknowledges everything as both trackers would and keeps it."""

    received: ClassVar[list[tuple[str, dict[str, str], bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, dict(self.headers), body))
        answer = b'{"_rxid": "1"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: Any) -> None:
        pass


def record(python: str, setup: str, situation: str, level: str) -> tuple[str, dict[str, str], bytes]:
    """The one report that the package sends in ``situation``, its directory renamed to /app."""
    Recorder.received = []
    with HTTPServer(("127.0.0.1", 0), Recorder) as server, tempfile.TemporaryDirectory() as directory:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        shutil.copy(RECORDED / "situations.py", directory)
        program = Path(directory) / "program.py"
        url = f"http://127.0.0.1:{server.server_port}"
        program.write_text(PROGRAM.format(setup=setup, situation=SITUATIONS[situation], level=level, url=url))
        subprocess.run([python, str(program)], cwd=directory, capture_output=True, timeout=60, check=False)
        server.shutdown()
        reports = [entry for entry in Recorder.received if b'"handshake"' not in entry[2]]
        [(path, headers, body)] = reports
        return path, headers, body.replace(directory.encode(), b"/app")


def main(python: str) -> None:
    packages = {
        "backtracepython": (BACKTRACE_SETUP, comparable_backtrace),
        "booboo-sdk": (BOOBOO_SETUP, comparable_booboo),
    }
    for package, (setup, comparable) in packages.items():
        recorded = {}
        for situation in SITUATIONS:
            level = "info" if situation == "message" else "error"
            recorded[situation] = comparable(*record(python, setup, situation, level))
        path = RECORDED / f"{package}.json"
        path.write_text(json.dumps(recorded, indent=1) + "\n")
        print(path)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
