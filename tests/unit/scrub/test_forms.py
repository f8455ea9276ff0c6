"""Secrets in texts, by every form in which a name and its value are known to stand; and what only looks like one."""

from __future__ import annotations

import html
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastword.config import Config
from lastword.scrub import Rules, is_sensitive
from tests.support.growth import grows_with_its_length
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.BEFORE_DISK,
    "A secret with its name in a text is scrubbed in every known form; look-alikes stay readable; JSON stays JSON",
    broken_by="one finder left out; JSON as any text; `author` taken for a secret; a chain of dots followed to its end",
)

RULES = Rules(Config())
S = "hunter2"
AS_JSON = json.dumps({"password": S, "a": 1})

#: In a text → what stays of it.
FORMS = {
    # arguments of a command
    f"Command '['mysql', '--password', '{S}']' failed": "Command '['mysql', '--password', [filtered]]' failed",
    f"[b'tool', b'--token', b'{S}']": "[b'tool', b'--token', [filtered]]",
    f"mysql --password {S} shop": "mysql --password [filtered] shop",
    f"tool -api-key '{S}' -v": "tool -api-key [filtered] -v",
    f"tool --api-key={S} -v": "tool --api-key=[filtered] -v",
    f"argument -t/--token: invalid int value: '{S}'": "argument -t/--token: invalid int value: [filtered]",
    # headers, with quoted values in them
    f'Authorization: Digest username="bob", response="{S}"': "Authorization: [filtered]",
    f'{{"h": "Cookie: a=\\"{S}\\""}}': '{"h": "Cookie: [filtered]"}',
    f"<SimpleCookie: sid='{S}' csrf='{S}'>": "<SimpleCookie: [filtered]",
    f"curl -H 'Cookie: a=\"{S}\"' https://x/": "curl -H 'Cookie: [filtered]' https://x/",
    # pairs
    f"AccessTokenKey: 9f{S}a": "AccessTokenKey: [filtered]",
    f"[['X-Api-Key', '{S}'], ['a', 'b']]": "[['X-Api-Key', [filtered]], ['a', 'b']]",
    f"Headers([(b'authorization', b'{S}')])": "Headers([(b'authorization', [filtered])])",
    f"dict_items([('auth', ('bob', '{S}'))])": "dict_items([('auth', [filtered])])",
    f"'password' => '{S}'": "'password' => [filtered]",
    f":password=>\"{S}\"": ":password=>[filtered]",
    f"password -> {S}": "password -> [filtered]",
    f'password := "{S}"': "password := [filtered]",
    f"password: str = '{S}'": "password: str = [filtered]",
    f"userPassword:: {S}": "userPassword:: [filtered]",
    f"| user | bob |\n| password | {S} |": "| user | bob |\n| password | [filtered]|",
    f"user\tbob\npassword\t{S}": "user\tbob\npassword\t[filtered]",
    f"machine h login bob password {S}": "machine h login bob password [filtered]",
    f"token: 9f{S}a": "token: [filtered]",
    f"password → {S}": "password → [filtered]",
    f"`password` = '{S}'": "`password` = [filtered]",
    f"secret_key: |\n  a\n  {S}\nb: 1": "secret_key: [filtered]b: 1",
    f"password\\u003d{S}": "password\\u003d[filtered]",
    f"\\u0022password\\u0022:\\u0022{S}\\u0022": "\\u0022password\\u0022:[filtered]",
    # objects with a name and a value
    f"[{{'name': 'password', 'value': '{S}'}}]": "[{'name': 'password', 'value': [filtered]}]",
    f"[{{'value': '{S}', 'type': 1, 'name': 'password'}}]": "[{'value': [filtered], 'type': 1, 'name': 'password'}]",
    f'sent {{"key": "api_token", "value": "{S}"}}': 'sent {"key": "api_token", "value": "[filtered]"}',
    f"Header(name='X-Api-Key', value='{S}')": "Header(name='X-Api-Key', value=[filtered])",
    f"- name: DB_PASSWORD\n  value: {S}\n": "- name: DB_PASSWORD\n  value: [filtered]\n",
    f'form-data; name="password"\r\n\r\n{S}\r\n--b': 'form-data; name="password"\r\n\r\n[filtered]\r\n--b',
    f"User(id=7, credentials=Credentials('bob', pin='{S}'))": "User(id=7, credentials=[filtered])",
    # XML
    f"<login><password>{S}</password></login>": "<login><password>[filtered]</password></login>",
    f'<n:password type="x">{S}</n:password>': '<n:password type="x">[filtered]</n:password>',
    f"&lt;password&gt;{S}&lt;/password&gt;": "&lt;password&gt;[filtered]&lt;/password&gt;",
    f"<credentials><user>bob</user><pin>{S}</pin></credentials>": "<credentials>[filtered]</credentials>",
    f"<login password='{S}'/>": "<login password=[filtered]/>",
    f'<property name="password" value="{S}"/>': '<property name="password" value=[filtered]/>',
    f'<property value="{S}" name="password"/>': '<property value=[filtered] name="password"/>',
    f'<entry key="password">{S}</entry>': '<entry key="password">[filtered]</entry>',
    f"<key>password</key><string>{S}</string>": "<key>password</key><string>[filtered]</string>",
    f"<password>{S[:4]}…": "<password>[filtered]",
    # databases
    f"DETAIL:  Key (api_token)=({S}) already exists.": "DETAIL:  Key (api_token)=[filtered] already exists.",
    f"Key (tenant, api_token)=(1, {S}) already exists.": "Key (tenant, api_token)=[filtered] already exists.",
    f"Key (lower(api_token::text))=(a){S}) is not present": "Key (lower(api_token::text))=[filtered] is not present",
    f"Duplicate entry '{S}' for key 'users.api_token'": "Duplicate entry [filtered] for key 'users.api_token'",
    f"UPDATE users SET password = '{S}' WHERE id=1": "UPDATE users SET password = [filtered] WHERE id=1",
    f"ALTER ROLE bob WITH PASSWORD '{S}'": "ALTER ROLE bob WITH PASSWORD [filtered]",
    f"CREATE USER bob IDENTIFIED BY '{S}'": "CREATE USER bob IDENTIFIED BY [filtered]",
    f"INSERT INTO u (name, password) VALUES ('bob', '{S}')": "INSERT INTO u (name, password) VALUES [filtered]",
    f"[SQL: SET pwd=?]\n[parameters: ('{S}', 7)]": "[SQL: SET pwd=[filtered]]\n[parameters: [filtered]]",
    # pydantic
    f"1 error\npassword\n  Too short [type=x, input_value='{S}', input_type=str]": (
        "1 error\npassword\n  Too short [type=x, input_value=[filtered], input_type=str]"
    ),
    f"{{'loc': ('body', 'password'), 'msg': 'Too short', 'input': '{S}'}}": (
        "{'loc': ('body', 'password'), 'msg': 'Too short', 'input': [filtered]}"
    ),
    # texts in texts
    "/?a=" + quote(quote(f"token={S}")): "/?a=token%253D[filtered]",
    "/?q=" + quote(json.dumps({"password": S})): "/?q=%7B%22password%22%3A[filtered]",
    html.escape(AS_JSON): "{&quot;password&quot;: [filtered], &quot;a&quot;: 1}",
    repr(AS_JSON): "'{\"password\": \"[filtered]\", \"a\": 1}'",
    json.dumps({"body": AS_JSON}): '{"body": "{\\"password\\": \\"[filtered]\\", \\"a\\": 1}"}',
}  # fmt: skip


@pytest.mark.parametrize("text", FORMS)
def test_secret_is_removed_in_any_form_with_its_name(text: str) -> None:
    """Its name and the text around it stay; scrubbing again changes nothing."""
    scrubbed = RULES.scrub_text(text)
    assert scrubbed == FORMS[text]
    assert RULES.scrub_text(scrubbed) == scrubbed


#: What has a word of the list in it, or stands as a value would.
LOOK_ALIKES = [
    *("author: Ann Smith", "author -> Ann", "author=Ann", "<author>Ann</author>", "--author Ann", "authors: [1, 2]"),
    *("token count: 5", "tokens used: 512", "token expired", "invalid token 'x'", "tokenizer 'bpe' not found"),
    *("Unexpected token '<', \"<!DOCTYPE\" is not valid JSON", "tokenize(text) -> list", "name: token\nkind: x"),
    *("password is required", "password required", "password must be at least 8 characters"),
    *("password\n  field required", "argument --token: expected one argument", "AuthKey: not found"),
    *("the password was wrong", "KeyError: 'password'", "fields: ['name', 'password', 'email']"),
    *("missing 1 required positional argument: 'password'", 'column "password" does not exist'),
    *("secretary: Bob", "secretariat = 5 people", "passenger: Bob", "passengers (3)", "the secret to success"),
    *("session closed", "session 'abc' expired", "missing cookie 'csrf'", "<Session object at 0x7f00> is closed"),
    *("<TokenError object at 0x7f> was raised", "usage: login <token> [options]", "use --no-auth here"),
    *("No module named 'auth'", "got an unexpected keyword argument 'session'", "AuthenticationFailed: no such user"),
    *("GET /auth/login 200", "auth failed (code=5)", "private method `x' called", "authority: x"),
    'relation "auth_user" does not exist\nLINE 1: SELECT id FROM auth_user WHERE id=5',
    "[SQL: SELECT users.password FROM users WHERE users.name = ?]\n[parameters: ('bob',)]\n",
]  # fmt: skip


@pytest.mark.parametrize("text", LOOK_ALIKES)
def test_look_alikes_of_secrets_stay(text: str) -> None:
    """The text of an error is worth more than an over-cautious rule."""
    assert RULES.scrub_text(text) == text


def test_word_added_by_the_program_is_no_look_alike() -> None:
    """If a program says that authors are secret, they are."""
    assert Rules(Config(scrub_names=("author",))).scrub_text("author=Ann") == "author=[filtered]"


#: What a pattern has to look at again and again, if it can be made to.
TIRESOME = [
    *(
        "<token>",
        "<token a='b' c='d' ",
        "&lt;token&gt;",
        "name='token' ",
        "value=x, name=token ",
        "value=[ name=token ",
    ),
    *("[parameters: (x)]\n", "[SQL: select from token [parameters: (x)]\n", "insert into x (token) values "),
    *("Duplicate entry '", "token)=(", "token,a)=(", "\ntoken | ", "token\n  input_value=", "--token ", "['token', "),
    *(
        "token%253D",
        "&quot;token&quot;:",
        "token: str = ",
        "login a token ",
        "<key>token</key>",
        'name="token"\r\n\r\n',
    ),
    *("loc=('a','a',", '{"token":', '[{"name":"token",', "token.", "token==a and ", "f(token,'x',", "token=[{"),
    *("'token','x',", '"""token', "'token\\", "#token ", "compare_digest(token,", "'where token',", " token("),
]


@pytest.mark.parametrize("piece", TIRESOME)
def test_time_grows_linearly_with_the_text(piece: str) -> None:
    """100 KB of it take some ten times as long as 10 KB, not a hundred times."""

    def scrub(length: int) -> None:
        text = ("token " + piece * length)[:length]
        RULES.scrub_text(text)
        RULES.scrub_source(text.split("\n"))

    assert grows_with_its_length(scrub, 10_000)


NAMES = st.sampled_from(["password", "api_token", "name", "key", "value", "a", "author"])
TEXTS = st.sampled_from(["password=x", "X-Api-Key", "--token", "4111111111111111", '{"token": "x"}', "é…", "\ud800", S])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(4111111111111111) | TEXTS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(VALUES.filter(lambda value: type(value) in (list, dict)), st.sampled_from([None, 2]), st.booleans())
def test_a_json_text_stays_json(value: Any, indent: int, ascii_only: bool) -> None:
    """With the same structure, and only secrets changed."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    scrubbed = RULES.scrub_text(text)
    assert len(scrubbed) <= max(len(text), 200)
    read = json.loads(scrubbed)
    if read != "[filtered]":  # there was no room for less
        _is_the_same_but_for_secrets(value, read)


def _is_the_same_but_for_secrets(before: Any, after: Any) -> None:
    if after == before or type(after) is str:
        return
    assert type(after) is type(before)
    assert len(after) == len(before)
    if type(before) is dict:
        assert list(after) == list(before)
        for name, item in before.items():
            if is_sensitive(name) and name != "author":
                assert after[name] in ("[filtered]", "")
            _is_the_same_but_for_secrets(item, after[name])
    elif type(before) is list:
        for item, other in zip(before, after):
            _is_the_same_but_for_secrets(item, other)


def test_json_without_room_for_the_mark_stays_json() -> None:
    """An event is bounded before it is scrubbed."""
    many = json.dumps([{"pwd": "a"}] * 500)
    scrubbed = RULES.scrub_text(many)
    assert json.loads(scrubbed) == [{"pwd": ""}] * 500
    assert len(scrubbed) <= len(many)
