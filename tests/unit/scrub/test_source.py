"""Secrets in lines of source: every literal of what has a secret name, and nothing of what only mentions one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastword.config import Config
from lastword.scrub import Rules
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.BEFORE_DISK,
    "Source shows no literal that belongs to a secret name, and keeps all others",
    broken_by="assignments not checked; comparisons neither; no line above the shown ones",
)

RULES = Rules(Config())
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n4f5wg5l2hKsTeNem\n-----END RSA PRIVATE KEY-----"

#: Source → what stays of it; ``*`` stands for the mark.
SOURCE = {
    # assigned
    'password = "hunter2"': "password = *",
    "password: str = 'hunter2'  # of the test account": "password: str = *  # of the test account",
    'password = "a" "hunter2"; get("b")': 'password = * *; get("b")',
    'password = ("a"\n  "hunter2")': "password = (*\n  *)",
    'password = \\\n  "hunter2"': "password = \\\n  *",
    'passwords = ["hunter2", "b"]': "passwords = [*, *]",
    'TOKENS = {"bob": "hunter2"}': "TOKENS = {*: *}",
    'user, password = "bob", "hunter2"': "user, password = *, *",
    'password += b"hunter2"': "password += *",
    'if (password := "hunter2"):': "if (password := *):",
    'os.environ["API_KEY"] = r"hunter2"': 'os.environ["API_KEY"] = *',
    'password = getenv("DB_PASSWORD", "hunter2")': 'password = getenv("DB_PASSWORD", *)',
    'password = decode("hunter2").decode("utf-8")': "password = decode(*).decode(*)",
    'password = x or "hunter2"': "password = x or *",
    'session = Session(bind="sqlite://")': "session = Session(bind=*)",
    "token = 1234567890": "token = *",
    'password = not_closed("hunter2': "password = not_closed(*",
    'for password in ["a", "hunter2"]: f("b")': 'for password in [*, *]: f("b")',
    # passed
    'connect(user="ann", password=f"hunter{2}")': 'connect(user="ann", password=*)',
    'get("https://x/", auth=("bob", "hunter2"))': 'get("https://x/", auth=(*, *))',
    'def f(user="a", password: str = "hunter2"):': 'def f(user="a", password: str = *):',
    'user.set_password("hunter2")': "user.set_password(*)",
    'TOKENS.append("hunter2")': "TOKENS.append(*)",
    'HTTPBasicAuth("bob", "hunter2")': "HTTPBasicAuth(*, *)",
    'setattr(x, "password", "hunter2")': 'setattr(x, "password", *)',
    'run(["mysql", "--password", "hunter2", "x"])': 'run(["mysql", "--password", *, "x"])',
    'run("mysql --password hunter2 x")': 'run("mysql --password * x")',
    'raise AuthError("no", password="hunter2")': 'raise AuthError("no", password=*)',
    'execute("UPDATE u SET password=?", ("hunter2",))': 'execute("UPDATE u SET password=?", (*,))',
    # held
    'KEYS = {"secret": "a" + "hunter2", "a": "b"}': 'KEYS = {"secret": * + *, "a": "b"}',
    'return {PASSWORD: "hunter2"}': "return {PASSWORD: *}",
    'headers = [("X-Api-Key", "hunter2")]': 'headers = [("X-Api-Key", *)]',
    's = \'{"password": "hunter2"}\'': 's = \'{"password": "*"}\'',
    's = "Authorization: Token hunter2"': 's = "Authorization: *"',
    "# password: hunter2": "# password: *",
    'engine("postgres://ann:hunter2@db")': 'engine("postgres://*@db")',
    # compared
    'if token == "hunter2":': "if token == *:",
    'if "hunter2" != token and x == "a":': 'if * != token and x == "a":',
    'if token in ("a", "hunter2"):': "if token in (*, *):",
    'assert form["password"] == "hunter2"': 'assert form["password"] == *',
    'compare_digest(token, "hunter2")': "compare_digest(token, *)",
}

HARMLESS = [
    *('password = form["password"]', "token = tokens.pop() if tokens else None", 'if "password" in form: f("x")'),
    *('password = getenv("PASSWORD")', 'author = "Ann"', 'tokenizer.encode("hello")', 'secretary = "Bob"'),
    *('raise AuthError("no such user")', 'session.get("https://x/")', 'log.info("token refreshed for %s", user)'),
    *('log.info(f"token={token}")', 'path("password/", view, name="reset")', 'from auth import x; y = "b"'),
    *('return render(request, "auth/login.html", {"x": "y"})', "max_tokens = 100"),
    'connect(password=password, name="x")',
    *('open("a"); f(password)', 'if len(password) < 8: raise ValueError("too short")', 'class Token(Base): x = "a"'),
]  # fmt: skip


@pytest.mark.parametrize("source", SOURCE)
def test_secrets_are_taken_out_of_source(source: str) -> None:
    """Only literals go: how a secret came about is what the source is there for."""
    scrubbed = RULES.scrub_source(["def f():", *source.split("\n"), "    pass"])
    assert scrubbed == ["def f():", *SOURCE[source].replace("*", "[filtered]").split("\n"), "    pass"]


@pytest.mark.parametrize("line", HARMLESS)
def test_source_that_only_mentions_a_secret_stays(line: str) -> None:
    """Names, what is asked for by a name, messages, and the objects of a framework."""
    assert RULES.scrub_source([line]) == [line]


@pytest.mark.parametrize("quotes", ['"""', "'''"])
def test_an_excerpt_may_begin_and_end_within_a_text(quotes: str) -> None:
    """Its first quotes may be the end of a docstring, or the beginning of one."""
    code = ['    passwords = ["a", "hunter2"]', '    get("b")']
    for lines in (["    of the docs (", f"    {quotes}", *code], [*code, "def f():", f"    {quotes}Begins"]):
        scrubbed = RULES.scrub_source(lines)
        assert "hunter2" not in str(scrubbed)
        assert '    get("b")' in scrubbed


def test_source_keeps_its_lines() -> None:
    """A secret of several lines goes from each, and the line numbers of what follows stay right."""
    lines = ["a = 1", *f'KEY = """{PEM}"""'.split("\n"), "b = 2", "secret = (", "    'hunter2'", ")", "c = 3"]
    scrubbed = RULES.scrub_source(lines)
    assert [scrubbed.index(line) for line in ("a = 1", "b = 2", "c = 3")] == [0, 5, 9]
    assert len(scrubbed) == len(lines)
    assert not any("MII" in line or "hunter2" in line for line in scrubbed)


@given(
    st.lists(st.sampled_from(["token", "=", "(", ")", '"', "'", ",", "\n", '"""', "==", ":", "{", "}", ".", "f", "\\"]))
)
def test_any_source_can_be_scrubbed(pieces: list[str]) -> None:
    """An excerpt begins and ends anywhere; it keeps its lines."""
    lines = "".join(pieces).split("\n")
    assert len(RULES.scrub_source(lines)) == len(lines)
