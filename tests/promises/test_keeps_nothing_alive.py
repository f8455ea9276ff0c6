"""The promise: after a capture nothing of the program is held by it, so what a failed job used goes with the job.

Each form runs with garbage collection switched off, and says by weak references whether anything is alive behind it.
What frameworks keep themselves is found out first, without lastword.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import needs
from tests.support.programs import recorded, run

BEGIN = """
import asyncio, gc, logging, sys, weakref
logging.getLogger().addHandler(logging.NullHandler())
logging.getLogger("asyncio").addHandler(logging.NullHandler())
shown = open(1, "w")
sys.stderr = open(os.devnull, "w")
log = logging.getLogger("shop")
references = []
forms = []

class Rows:
    pass

def rows():
    made = Rows()
    references.append(weakref.ref(made))
    return made

def fail(*used):
    inner = rows()
    raise ValueError("no")

def alive():
    return sum(reference() is not None for reference in references)
"""

END = """
def kept():
    found = {}
    for form in forms:
        references.clear()
        form()
        assert references, form
        found[form.__name__] = alive()
        references.clear()
        gc.collect()
    return found

import lastword.integrations
gc.collect()
gc.disable()
without = {}
if FRAMEWORKS:
    lastword.close()
    kept()  # what a framework does at its first request
    without = kept()
lastword.integrations.install()
lastword.init(spool=os.environ["TEST_SPOOL"], flood_burst=0, OPTIONS)
for name, count in kept().items():
    if count > without.get(name, 0):
        print(name, file=shown)
print("end", file=shown, flush=True)
"""

#: Each a way to report; all fail in a call of ``fail``, and have rows of their own.
OWN = """
def logged():
    used = rows()
    try: fail(used)
    except ValueError as error: log.error("%s", error, exc_info=True)

def logged_with_itself():
    used = rows()
    try: fail(used)
    except ValueError as error:
        log.info("not an event", exc_info=error)
        log.critical("%s", used, exc_info=error)

def captured():
    used = rows()
    try: fail(used)
    except ValueError as error: lastword.capture_exception(error)

def captured_by_the_tuple():
    used = rows()
    try: fail(used)
    except ValueError as error: lastword.capture_exception(sys.exc_info())

def never_raised():
    used = rows()
    error = KeyError(used)
    lastword.capture_exception(error)

def chained():
    used = rows()
    try:
        try: fail(used)
        except ValueError as first: raise KeyError("second") from first
    except KeyError as second: lastword.capture_exception(second)

def members_of_a_group():
    used, errors = rows(), []
    for _ in range(3):
        try: fail(used)
        except ValueError as error: errors.append(error)
    try: raise getattr(__builtins__, "ExceptionGroup", ValueError)("several", errors)
    except Exception as group: log.exception("several")
    finally: errors.clear()

def caught_in_a_block():
    used = rows()
    try:
        with lastword.catch(): fail(used)
    except ValueError as error: pass

def caught_by_decorators():
    used = rows()
    @lastword.catch()
    def plain(taken): fail(taken)
    @lastword.catch()
    def generator(taken): yield fail(taken)
    @lastword.catch()
    async def coroutine(taken): fail(taken)
    async def main():  # what leaves asyncio.run, asyncio keeps alive
        try: await coroutine(rows())
        except ValueError as error: pass
    asyncio.run(main())
    for call in (lambda: plain(rows()), lambda: list(generator(rows()))):
        try: call()
        except ValueError as error: pass

def by_the_excepthook():
    used = rows()
    try: fail(used)
    except ValueError as error: sys.excepthook(type(error), error, error.__traceback__)

def in_a_thread():
    def work():
        used = rows()
        try: fail(used)
        except ValueError as error: raise KeyError("second") from error
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

def in_a_finalizer():
    class Closing:
        def __del__(self):
            used = rows()
            try: fail(used)
            except ValueError as error: raise
    Closing()

def in_a_task():
    async def work():
        used = rows()
        try: fail(used)
        except ValueError as error: log.exception("no")
        await asyncio.sleep(0)
        fail(used)
    async def main():
        task = asyncio.create_task(work())
        await asyncio.wait([task])
        del task
    asyncio.run(main())

def in_a_suspended_generator():
    def work():
        used = rows()
        try: fail(used)
        except ValueError as error:
            lastword.capture_exception(error)
            yield
    next(work())

def in_a_closure():
    used = rows()
    def work():
        own = rows()
        try: fail(used)
        except ValueError as error: log.exception("no")
        return own
    work()

def deep():
    def work(depth):
        used = rows()
        if not depth: fail(used)
        work(depth - 1)
    try: work(300)
    except ValueError as error: lastword.capture_exception(error)

def without_end():
    def work():
        used = rows()
        work()
    try: work()
    except RecursionError as error: lastword.capture_exception(error)

def by_code_made_at_run_time():
    names = {"fail": fail, "used": rows(), "__name__": rows()}
    exec("def made(): fail(used)", names)
    made = names.pop("made")
    references.append(weakref.ref(made.__code__))
    try: made()
    except ValueError as error: log.exception("no")

def in_a_class():
    try:
        class Body:
            used = rows()
            fail(used)
    except ValueError as error: log.exception("no")

def that_names_things():
    used = rows()
    with lastword.new_scope():
        lastword.set_user({"id": used})
        lastword.set_tag("tag", used)
        lastword.set_extra("extra", [used])
        lastword.set_context("context", {"used": used})
        lastword.add_breadcrumb(used, data={"used": used})
        lastword.capture_message(used)

def through_asgi():
    from lastword.integrations.asgi import ReportingMiddleware
    async def serve(scope, receive, send):
        used = rows()
        fail(used)
    def begin(scope, receive, send):
        used = rows()
        fail(used)
    async def main(application):
        try: await ReportingMiddleware(application)({"type": "http", "path": "/", "headers": []}, None, None)
        except ValueError as error: pass
    asyncio.run(main(serve))
    asyncio.run(main(begin))

def through_a_child():
    from lastword.integrations.child_processes import _Reporting
    def work():
        used = rows()
        fail(used)
    try: _Reporting(work)()
    except ValueError as error: pass

def with_a_dict_of_its_locals():
    def work():
        used = rows()
        given = locals()
        fail(given)
    try: work()
    except ValueError as error: log.exception("no")

forms += [value for value in list(globals().values()) if getattr(value, "__code__", None) and value.__name__ not in
          ("acked", "die", "rows", "fail", "alive")]
"""

OPTIONS = ("", "repr_of=('Rows',), before_send=lambda event: event, all_threads=True")


@pytest.mark.parametrize("options", OPTIONS)
def test_what_a_failed_job_used_goes_with_it(options: str, tmp_path: Path) -> None:
    body = BEGIN + OWN + END.replace("FRAMEWORKS", "False").replace("OPTIONS", options)
    assert run(body, spool=tmp_path / "spool") == ["end"]
    assert len(recorded(tmp_path / "spool")) >= OWN.count("\ndef ")


FRAMEWORKS = """
import flask, django, fastapi
from io import BytesIO
from django.conf import settings
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF="__main__", SECRET_KEY="x", LOGGING_CONFIG=None)
django.setup()
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.urls import path

shop = flask.Flask("shop")
shop.add_url_rule("/fail", "fail", lambda: fail(rows()))

def view(request):
    used = rows()
    fail(used)

async def async_view(request):
    used = rows()
    fail(used)

urlpatterns = [path("fail", view), path("async", async_view)]
django_wsgi, django_asgi = WSGIHandler(), ASGIHandler()
api = fastapi.FastAPI()

@api.get("/fail")
async def route():
    used = rows()
    fail(used)

def to_flask():
    shop.test_client().get("/fail")

def to_django():
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/fail", "SERVER_NAME": "x", "SERVER_PORT": "80"}
    django_wsgi({**environ, "wsgi.input": BytesIO()}, lambda *_: None).close()

async def get(application, path):
    asked = []
    async def receive():
        asked.append(1)
        return {"type": "http.request", "body": b""} if len(asked) == 1 else await asyncio.sleep(3600)
    async def send(message):
        pass
    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"", "http_version": "1.1"}
    try:
        await application(scope, receive, send)
    except ValueError as error:
        pass

def to_django_by_asgi():
    asyncio.run(get(django_asgi, "/async"))

def to_fastapi():
    asyncio.run(get(api, "/fail"))

forms += [to_flask, to_django, to_django_by_asgi, to_fastapi]
"""


@needs.installed("flask", "django", "fastapi")
def test_what_a_failed_request_used_goes_with_it(tmp_path: Path) -> None:
    body = BEGIN + FRAMEWORKS + END.replace("FRAMEWORKS", "True").replace("OPTIONS", "")
    assert run(body, spool=tmp_path / "spool") == ["end"]
    assert len(recorded(tmp_path / "spool")) >= 4
