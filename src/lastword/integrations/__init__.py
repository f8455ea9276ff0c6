"""What frameworks do with an exception that a view, a route or a consumer lets out, heard where they do it.

``install`` covers Django, Flask, FastAPI and Channels, whether the program has imported them already or does so later;
none of them is imported for it, and an application object is not needed. Each exception is reported once, with the
request that it came of, and goes on its way as it would have gone. What is set for one request (``set_user``,
``set_tag``, breadcrumbs …) is forgotten with it. So are exceptions heard that end a child process of multiprocessing.
"""

from __future__ import annotations

from lastword.integrations import asgi, child_processes, django, flask
from lastword.integrations.reporting import Report, listen, report_to_lastword


def install(report: Report = report_to_lastword) -> None:
    """Let ``report``, and nobody else, hear of exceptions in requests, however often this is called."""
    listen(report)
    django.install()
    flask.install()
    asgi.install()
    child_processes.install()


def uninstall() -> None:
    """Tell nobody any more. What was put into the frameworks stays there, and does nothing."""
    listen(None)
