"""One program with many failures, one after the other; each begins by saying its name in a message."""

from __future__ import annotations

GALLERY = '''
import decimal
booboo.init(dsn(), environment="production", release="r1")

class Unshowable:
    def __repr__(self):
        raise RuntimeError("no")

class Shown:
    def __repr__(self):
        return "<Shown %s>" % ("z" * 300)

class Unprintable(Exception):
    def __str__(self):
        return "told: " + super().__str__()

def handled():
    amount = 3
    raise ValueError("no such order")

def chained():
    try:
        handled()
    except ValueError as error:
        raise LookupError("lost") from error

def in_context():
    try:
        handled()
    except ValueError:
        raise LookupError("lost")

def suppressed():
    try:
        handled()
    except ValueError:
        raise LookupError("lost") from None

def of_three():
    try:
        chained()
    except LookupError:
        raise KeyError("third")

names = ["    name%d = %d\\n" % (n, n) for n in range(60)]
exec("def sixty_locals():\\n" + "".join(names) + "    raise ValueError('60')\\n")

def reprs():
    text = "x" * 300
    short = "it's \\"short\\" \\n é ✓"
    unshowable, shown = Unshowable(), Shown()
    numbers, nan, infinity = [1, 2.5, None, True], float("nan"), float("inf")
    large, exact = 2 ** 53, decimal.Decimal("1.10")
    nested = {"a": [1, {"b": (2, shown)}], "password": "in a dict"}
    objects = [Shown(), Shown()]
    raw, empty, kind, call = b"\\x00" * 300, {}, int, handled.__name__
    raise ValueError("reprs")

def secrets():
    password = user_token = API_KEY = author = tokenizer = private_key = "hunter2"
    pwd = dsn = session_id = cookie = "shown"
    __dunder__ = "left out"
    raise ValueError("secrets")

def custom():
    raise Unprintable("why")

def deep(depth=30):
    if depth == 0:
        raise ValueError("deep")
    deep(depth - 1)

def in_library():
    json.loads("{")

def no_text():
    raise ValueError

def several_lines():
    raise ValueError("one\\ntwo")

def syntax_error():
    compile("a b", "theirs.py", "exec")

def in_a_thread():
    def work():
        try:
            handled_there(3)
        except ValueError:
            booboo.capture_exception()
    def handled_there(amount):
        raise ValueError("in a thread")
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

namespace = {}
exec(compile("def from_nowhere():\\n    here = 1\\n    raise OSError('no source')\\n", "<string>", "exec"), namespace)

def without_source():
    namespace["from_nowhere"]()

def given():
    """Captured behind the except block."""
    raise ValueError("given")

def show(fail):
    try:
        fail()
    except Exception:
        booboo.capture_exception()

SITUATIONS = [handled, chained, in_context, suppressed, of_three, sixty_locals, reprs, secrets, custom, deep,
              in_library, no_text, several_lines, syntax_error, in_a_thread, without_source]
for situation in SITUATIONS:
    show(situation)

try:
    given()
except ValueError as error:
    kept = error
booboo.capture_exception(kept)
del kept
booboo.capture_exception()
booboo.capture_message("deployed")
booboo.capture_message("with a level", "warning")
booboo.capture_message("level by name", level="error")
booboo.capture_message("a level of their own", "critical")
booboo.capture_message("fatal", "fatal")
booboo.set_user({"id": 7, "email": "a@b.c", "nested": {"plan": ["x", 1]}})
booboo.capture_message("with a user")
show(handled)
booboo.set_user(None)
booboo.capture_message("without a user")
def main():
    local = 1
    raise KeyError("nobody catches this")
main()
'''

NAMES = [
    *(
        "handled",
        "chained",
        "in_context",
        "suppressed",
        "of_three",
        "sixty_locals",
        "reprs",
        "secrets",
        "custom",
        "deep",
    ),
    *(
        "in_library",
        "no_text",
        "several_lines",
        "syntax_error",
        "in_a_thread",
        "without_source",
        "given",
        "message",
        "warning",
        "error",
    ),
    *("level_of_their_own", "fatal", "message_with_user", "exception_with_user", "without_user", "unhandled"),
]
