"""What results and messages show of a URL: never user info, query or fragment, whatever the scheme."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.sources.credentials import (
    bare_url,
    has_credentials,
    has_ending,
    hide_credentials,
    urls_without_credentials,
    without_credentials,
)

SIGNED = "?X-Amz-Signature=0c1f&b=%2Fx"


@pytest.mark.parametrize(
    ("url", "bare", "has_query"),
    [
        ("/data/a?b#c@d.warc.gz", "/data/a?b#c@d.warc.gz", False),
        ("crawl-data/a.warc.gz", "crawl-data/a.warc.gz", False),
        ("file:///data/a?b#c@d:e.warc", "file:///data/a?b#c@d:e.warc", False),
        (f"https://host/a.warc.gz{SIGNED}", "https://host/a.warc.gz", True),
        ("HTTPS://user:pw@Host:8443/a.warc.gz#part", "HTTPS://Host:8443/a.warc.gz", False),
        ("http://token@[::1]:80/a@b:c", "http://[::1]:80/a@b:c", False),
        ("http://[::1]:80/a@b:c", "http://[::1]:80/a@b:c", False),
        ("https://[broken/a?b", "https://[broken/a", True),
        ("https://host?b@c", "https://host", True),
        ("https://user:p@w@host/a", "https://host/a", False),
        ("https://user:p/w@host/a?b", "https://host/a", True),
        ("https://user:p?w@host/a", "https://host/a", False),
        ("https://user:A:B/C@D/E@host/a?b@c", "https://host/a", True),
        ("ftp://user:pw@host/a", "ftp://host/a", False),
        ("sftp://user:pw@host:22/a.warc.gz", "sftp://host:22/a.warc.gz", False),
        ("sftp://user@host/a.warc.gz", "sftp://host/a.warc.gz", False),
        ("abfs://container@account.dfs.core.windows.net/a?sv=1&sig=x", None, True),
        ("wasbs://container@account.blob.core.windows.net/a", None, False),
        ("abfs://user:pw@account/a", "abfs://account/a", False),
        ("s3://bucket/a?b#c@d.warc.gz", None, False),
        ("s3a://KEY:SECRET@bucket/a@b", "s3a://bucket/a@b", False),
        ("s3a://KEY:SE/CRET@bucket/a", "s3a://bucket/a", False),
        ("gs://bucket/a?b#c", None, False),
        ("hdfs://user@namenode:8020/a?b", "hdfs://namenode:8020/a?b", False),
        ("simplecache::sftp://user:pw@host/a", "simplecache::sftp://host/a", False),
        (f"zip://a.warc::https://user:pw@host/b.zip{SIGNED}", "zip://a.warc::https://host/b.zip", True),
    ],
)
def test_each_scheme_loses_what_may_be_secret_and_keeps_the_rest(url, bare, has_query):
    bare = bare or url.partition("?sv=")[0]
    assert bare_url(url) == bare
    assert without_credentials(url) == f"{bare}{'?...' if has_query else ''}"
    assert bare_url(bare) == bare
    assert not has_credentials(bare)


SCHEMES = st.sampled_from(["http", "https", "ftp", "sftp", "abfs", "webdav", "memory", "HTTPS"])
# No character of a secret stands in what surrounds it.
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PASSWORD = st.text(f"{LETTERS}%+=&;:@ 東", min_size=6, max_size=20)
QUERY = st.text(f"{LETTERS}%+=&;:@/?# 東", min_size=6, max_size=20)


@given(SCHEMES, PASSWORD, QUERY)
def test_no_part_of_user_info_or_query_is_left(scheme, password, query):
    url = f"{scheme}://u:{password}@host/a.warc?{query}"
    assert bare_url(url) == f"{scheme}://host/a.warc"
    assert without_credentials(url) in {f"{scheme}://host/a.warc?...", f"{scheme}://host/a.warc"}
    said = hide_credentials(f"cannot open {url}", url).removeprefix(f"cannot open {scheme}")
    assert not any(character in LETTERS for character in said)


def test_messages_of_others_lose_each_form_of_a_secret():
    url = "https://user:pass%2Fword@host/a?X-Amz-Signature=0123abc%2f&sv=1"
    for said in (
        f"cannot open {url}",
        "GET /a?X-Amz-Signature=0123abc%2f&sv=1 failed",
        "GET /a?X-Amz-Signature=0123abc%2F&sv=1 failed",
        "the signature 0123abc/ has expired",
        "user:pass%2Fword@host refused pass/word",
    ):
        shown = hide_credentials(said, url)
        assert not any(secret in shown for secret in ("0123abc", "pass", "word"))
        assert "..." in shown
    assert hide_credentials("a: no such file", "https://host/a") == "a: no such file"


def test_urls_in_a_text_are_shown_without_credentials():
    said = "'https://u:p@host/a?b' and s3://bucket/c?d, https://host/e?...: see https://host/f, then sftp://u:p@host/g"
    assert urls_without_credentials(said) == (
        "'https://host/a?...' and s3://bucket/c?d, https://host/e?...: see https://host/f, then sftp://host/g"
    )


def test_endings_are_those_of_the_path_in_either_case():
    assert has_ending("https://host/a.PARQUET?sig=x.jsonl#y", (".parquet",))
    assert not has_ending("https://host/get?file=a.parquet", (".parquet",))
    assert not has_ending("s3://bucket/a.parquet?b", (".parquet",))
    assert has_ending("/data/A.Warc.GZ", (".warc", ".warc.gz"))
    assert has_ending("/data/anything", ("",))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("--pairs https://u:p'SECRET@h/x must be", "--pairs https://h/x must be"),
        ("see 'https://h/x?a=SECRET&b=1': check", "see 'https://h/x?...': check"),
        ("https://u:p<SECRET>@h/x", "https://h/x"),
        ("https://u:SECRET@h/x?...", "https://h/x?..."),
        ("abfs://c:pw'SECRET@acc/dir", "abfs://acc/dir"),
        ('got "https://h/x?t=SECRET" here', 'got "https://h/x?..." here'),
        ("az://container@account/x", "az://container@account/x"),
    ],
)
def test_urls_in_a_text_with_marks_in_their_secrets(text, shown):
    assert urls_without_credentials(text) == shown
