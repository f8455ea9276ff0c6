"""Report exceptions that leave a view, a route or a consumer, at the point where the framework handles them.

``install`` covers Django, Flask, FastAPI and Channels, imported already or later; it imports none of them and needs no
application object. Each exception is reported once, with its request, and then propagates as it would without lastword.
Data set for one request (``set_user``, ``set_tag``, breadcrumbs …) is dropped at its end. Exceptions that end a child
process of multiprocessing are reported, too.
"""

from __future__ import annotations

from lastword.integrations import asgi, child_processes, django, flask
from lastword.integrations.reporting import Report, listen, report_to_lastword


def install(report: Report = report_to_lastword) -> None:
    """Have ``report`` alone called for each exception in a request; repeated calls replace it."""
    listen(report)
    django.install()
    flask.install()
    asgi.install()
    child_processes.install()


def uninstall() -> None:
    """Stop reporting. The wrappers stay in the frameworks and do nothing."""
    listen(None)
