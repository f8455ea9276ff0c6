"""Secrets that have a form of their own: tokens with a prefix, flags of commands, signed URLs; whole, or cut off."""

from __future__ import annotations

import json
import random
import string

import pytest

from lastword.capture.bounded_repr import bounded_repr
from lastword.capture.json_copy import MAX_TEXT, text_of
from lastword.capture.safe_text import clean_ends
from lastword.config import Config
from lastword.scrub import Rules
from tests.support.growth import grows_with_its_length
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.BEFORE_DISK,
    "Tokens with a known prefix, secret command flags and URL signatures are scrubbed in texts, JSON and "
    "source, also when cut in two; look-alikes stay; no text takes long",
    broken_by="one prefix left out; flags of any command; no check of the text before a flag; sentences "
    "and measures not known; the cut mark does not end a token; a lookahead without a bound",
)

RULES = Rules(Config())
S = "hunter2"


def random_text(length: int) -> str:
    """Made here, so that no tool takes this file for one that holds tokens."""
    return "".join(random.Random(length).choices(string.ascii_letters + string.digits, k=length))


LONG = random_text(60)

#: By kind; each is hidden as a whole.
TOKENS = {
    **{f"GitHub {kind}": f"gh{kind}_" + random_text(36) for kind in "pousr"},
    "GitHub fine-grained": "github_pat_" + random_text(22) + "_" + random_text(59),
    "GitLab": "glpat-" + "a_B-" + random_text(16),
    "Stripe": "sk_live_" + random_text(24),
    "Stripe restricted": "rk_test_" + random_text(24),
    "Stripe webhook": "whsec_" + random_text(32),
    "OpenAI": "sk-" + random_text(48),
    "OpenAI project": "sk-proj-" + "a_B-" + random_text(70),
    "Anthropic": "sk-ant-" + "api03-a_B-" + random_text(90),
    "Slack bot": "xoxb-" + "123456789012-1234567890123-" + random_text(24),
    "Slack user": "xoxp-" + "1234-5678-" + random_text(32),
    "Slack app": "xapp-" + "1-A012-1234-" + random_text(40),
    "AWS": "AKIA" + "IOSFODNN7EXAMPLE",
    "Google": "AIza" + "Sy-a_B" + random_text(29),
    "SendGrid": "SG." + "a_B-" + random_text(18) + "." + "a_B-" + random_text(39),
    "Atlassian": "ATATT3" + "xFfGF0" + random_text(60),
    "npm": "npm_" + random_text(36),
    "PyPI": "pypi-" + "AgEIcHlwaS5vcmcC" + random_text(60),
    "Hugging Face": "hf_" + random_text(34),
    "DigitalOcean": "dop_v1_" + "0123456789abcdef" * 4,
    "Shopify": "shpat_" + "0123456789abcdef" * 2,
    "age": "AGE-SECRET-KEY-" + "1" + "QPZRY9X8GF2TVDW0" * 3,
    "JWT": "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiI0MiJ9." + random_text(43),
    "JWE": "eyJhbGciOiJkaXIifQ" + f"..{random_text(16)}.{random_text(40)}.{random_text(22)}",
    "PEM": "-----BEGIN OPENSSH PRIVATE" + f" KEY-----\n{LONG}\n-----END OPENSSH PRIVATE KEY-----",
    "SSH2": "---- BEGIN SSH2 ENCRYPTED PRIVATE" + f" KEY ----\n{LONG}\n---- END SSH2 PRIVATE KEY ----",
}  # fmt: skip


@pytest.mark.parametrize("kind", TOKENS)
def test_token_with_a_known_prefix_is_removed(kind: str) -> None:
    """Wherever it stands: in a sentence, a URL, JSON, a repr, a line of source."""
    token = TOKENS[kind]
    assert RULES.scrub_text(token) == "[filtered]"
    assert RULES.scrub_text(f"login with {token} failed.") == "login with [filtered] failed."
    for around in ("'{}'", "/a/{}?b=c", "key={};", "a:{}", "<b>{}</b>", "line\\n{}", "x%3A{}"):
        scrubbed = RULES.scrub_text(around.format(token))
        assert token not in scrubbed
        assert RULES.scrub_text(scrubbed) == scrubbed
    for text in (json.dumps([token]), json.dumps({"a": f"b {token}"}), repr(token), repr([token])):
        assert token[10:20] not in RULES.scrub_text(text)
    for line in (f"x = {token!r}", f"f(f'a {{b}} {token!r}', 1)", f"# {token!r}", f"run(['a', {token!r}])"):
        [scrubbed] = RULES.scrub_source([line])
        assert token[10:20] not in scrubbed
        assert "[filtered]" in scrubbed


#: In a text → what stays of it.
FORMS = {
    f"curl -u ann:{S} https://x/": "curl -u ann:[filtered] https://x/",
    f"curl -sS -uann:{S} https://x/": "curl -sS -uann:[filtered] https://x/",
    f"curl --user 'ann:{S} b' x": "curl --user 'ann:[filtered]' x",
    f"curl \\\n  --proxy-user=ann:{S} x": "curl \\\n  --proxy-user=ann:[filtered] x",
    f"Command '['curl', '-u', 'ann:{S}', 'x']' failed": "Command '['curl', '-u', 'ann:[filtered]', 'x']' failed",
    f"sh -c \"curl -u 'ann:{S}' x\"": "sh -c \"curl -u 'ann:[filtered]' x\"",
    f"mysql -u root -p{S} shop": "mysql -u root -p[filtered] shop",
    f"mysqldump -p'{S} b' shop > x": "mysqldump -p'[filtered]' shop > x",
    f"['/usr/bin/mariadb-dump', '-p{S}', 'shop']": "['/usr/bin/mariadb-dump', '-p[filtered]', 'shop']",
    f"sshpass -p {S} ssh a@b": "sshpass -p [filtered] ssh a@b",
    f"docker login -u ann -p {S} r.example": "docker login -u ann -p [filtered] r.example",
    f"mongodump -u a -p {S}": "mongodump -u a -p [filtered]",
    f"redis-cli -h x -a {S} ping": "redis-cli -h x -a [filtered] ping",
    f"ldapsearch -D cn=a -w {S} x": "ldapsearch -D cn=a -w [filtered] x",
    f"tool --password {S} x": "tool --password [filtered] x",
    f"https://a.blob.example/c?sv=1&sig={S}%3D&se=2": "https://a.blob.example/c?sv=1&sig=[filtered]&se=2",
    f"https://s3/x?X-Amz-Signature={S}&a=1": "https://s3/x?X-Amz-Signature=[filtered]&a=1",
    f"/x?X-Goog-Signature={S}": "/x?X-Goog-Signature=[filtered]",
    f"/cb?code=4/0A{S}&state=x": "/cb?code=[filtered]&state=x",
    f"'code={S}&redirect_uri=x'": "'code=[filtered]&redirect_uri=x'",
    f"/login?next=%2Fcb%3Fcode%3D{S}": "/login?next=%2Fcb%3Fcode%3D[filtered]",
    f"/acs?SAMLResponse={S}": "/acs?SAMLResponse=[filtered]",
    "https://hooks.slack.com/services/" + f"T0/B0/{S} is it": "https://hooks.slack.com/services/[filtered] is it",
    "https://discord.com/api/webhooks/" + f"1/{S}": "https://discord.com/api/webhooks/[filtered]",
    "AccountName=a;AccountKey=" + random_text(86) + "==;B=c": "AccountName=a;AccountKey=[filtered];B=c",
    "[SQL: SET pwd=?]\n[parameters: " + f"('{S}', …": "[SQL: SET pwd=[filtered]]\n[parameters: [filtered]",
}  # fmt: skip


@pytest.mark.parametrize("text", FORMS)
def test_secret_of_a_command_flag_or_url_is_removed(text: str) -> None:
    """And nothing beside it; in literals of source too."""
    assert RULES.scrub_text(text) == FORMS[text]
    assert RULES.scrub_text(FORMS[text]) == FORMS[text]
    assert S not in "".join(RULES.scrub_source([f"run({text!r})"]))
    assert S not in RULES.scrub_text(json.dumps({"text": text}))


LOOK_ALIKES = [
    *("--password is required", "--password and --user are", "use --token or --api-key", "--token not given"),
    *("password: required", "password: this field is required", "token: missing", "DB_PASSWORD: not set"),
    *("max_tokens=512", "{'max_tokens': 512, 'n': 1}", "prompt_tokens=7, total_tokens=19", "session_timeout=30s"),
    *("password_min_length: 8", "totalTokens=12", "token_limit: 4096", "auth_retries=3"),
    *("mysql -p shop", "mysql -u root -p", "cp -p a b", "mkdir -p x", "head -u a:b", "ssh -p 2222 a@b"),
    *("curl -u ann https://x/", "curl -u $USER:$PASS x", "curl -u {user}:{password} x", "mysql -p$PASSWORD shop"),
    *("/cb?code=404", "?error=x&code=invalid_request", "failed (code=5)", "status_code=404&a=b", "/a?design=1&sign=2"),
    *("npm_config_cache_directory_of_a_user", "task-0123456789abcdef0123456789abcdef", "hf_hub_download"),
    *("keyJobScheduler.started", "eyJ is how they begin", "sk_live_ keys are secret", "ghp_ begins a token", "xoxb-"),
    *("550e8400-e29b-41d4-a716-446655440000", "disk-0123456789abcdef0123456789", "AccountKey=", "SG. is short"),
    *("https://slack.com/services/T0/B0/x", "see 'pypi-publish-github-action'", "glpat- begins a token", "-5 -u x:y"),
    *("ssh -p 2222 a@b, then docker login", "tar -u a:b and curl"),
]  # fmt: skip


@pytest.mark.parametrize("text", LOOK_ALIKES)
def test_look_alikes_of_tokens_stay(text: str) -> None:
    """In texts and in literals of source."""
    assert RULES.scrub_text(text) == text
    assert RULES.scrub_source([f"x = {text!r}"]) == [f"x = {text!r}"]


#: Secrets that are longer than what may be left of them.
CUT = {
    **{kind: token for kind, token in TOKENS.items() if kind != "AWS"},
    "password": f"password={LONG}",
    "quoted": f"'password': '{LONG}'",
    "userinfo": f"postgres://ann:{LONG}@db/shop",
    "userinfo alone": f"https://{LONG}@sentry.example/1",
    "bearer": f"Bearer {LONG}",
    "basic": f"Basic {LONG}",
    "identified": f"IDENTIFIED BY '{LONG}'",
    "parameters": f"[SQL: SET pwd=?]\n[parameters: ('{LONG}', 7)]",
    "curl": f"curl -u 'ann:{LONG}' x",
    "query": f"/a?sig={LONG}&b=c",
    "element": f"<password>{LONG}</password>",
    "JSON": json.dumps({"password": LONG}),
    "card": "4111 1111 1111 1111",
}


@pytest.mark.parametrize("kind", CUT)
def test_no_half_of_a_cut_secret_is_left(kind: str) -> None:
    """Texts are bounded before they are scrubbed: of extra, contexts and breadcrumbs, of variables, of exceptions."""
    secret = CUT[kind]
    whole = LONG if LONG in secret else secret[12:]
    for shown in range(1, len(secret)):
        text = ". " * 5000 + secret + " and more" * 2000
        start = 10_000 + shown
        for cut in (
            text_of(text[start - MAX_TEXT + 1 :], MAX_TEXT),
            bounded_repr(text[start - 180 :], 200),
            clean_ends(text[start - 4075 :], 8192, RULES.scrub_text),
        ):
            left = RULES.scrub_text(cut)
            assert kind == "card" or not any(whole[at : at + 20] in left for at in range(max(1, len(whole) - 19))), (
                shown,
                left[-100:],
            )
            if kind == "card":
                assert "4111 1111 1" not in left


#: What a pattern has to look at again and again, if it can be made to.
TIRESOME = [
    *("ghp_", "sk-", "eyJaaaaaaaa.", "xoxb-1", "SG.aaaaaaaaaaaaaaaa", "AIza", "_aaaaaaaaaaaaaaaa", "a-", "glpat-"),
    *("curl -u ", "curl -u a:", "mysql -p", "'mysql' '-p", "curl -u 'a:", "curl -u \\'", "-u \\\\\\'", "login -p x "),
    *("?sig=", "&code=a1", "code=", "code=a&", "?code=%3D", "AccountKey=", "aSignature=", "SAMLResponse=%", "sigsig="),
    *("://hooks.slack.com/services/", "://discord.com/api/webhooks/", "4111…", "4111 1111…", "bearer a…", "://a…"),
    *("identified by '", "--password is ", "max_tokens=5", "[parameters: (x", "[parameters: (…", "PRIVATE KEY"),
]  # fmt: skip


@pytest.mark.parametrize("piece", TIRESOME)
def test_time_grows_linearly_with_the_text(piece: str) -> None:
    """100 KB of it take some ten times as long as 10 KB, not a hundred times."""
    told = "curl mysql login PRIVATE KEY :// bearer basic eyJ -p token ?sig= identified by 0000000000000 "

    def scrub(length: int) -> None:
        text = told + (piece * length)[:length]
        RULES.scrub_text(text)
        RULES.scrub_source(text[:20_000].split("\n"))

    assert grows_with_its_length(scrub, 10_000)
