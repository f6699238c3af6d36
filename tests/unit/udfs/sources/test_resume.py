"""Archives on S3 and on the web: resumed, retried, refused, and never mistaken for empty."""

import re
import socket
from dataclasses import replace

import boto3
import fsspec
import pytest

from tests.support.fault_server import SLOW_DOWN, FaultProxy, ScriptedServer
from tests.support.s3_server import is_moto, new_bucket, s3_server
from udfs.sources import ArchiveChangedError, FetchOptions, open_archive, stat_archive
from udfs.sources import s3 as fetch_s3

CONTENT = bytes(range(256)) * 20_000
TAG = '"one"'
QUICK = {"first_delay_seconds": 0.001, "longest_delay_seconds": 0.01, "timeout_seconds": 5.0}


@pytest.fixture(scope="module")
def bucket():
    with s3_server() as endpoint:
        yield new_bucket(endpoint)


@pytest.fixture
def options(bucket):
    return FetchOptions(s3_endpoint=bucket.endpoint, **QUICK)


def read_all(path, options):
    with open_archive(path, options) as stream:
        content = b"".join(iter(lambda: stream.read(65_536), b""))
        assert stream.bytes_read == stream.size == len(content)
        return content


@pytest.mark.parametrize("key", ["a/b.warc.gz", "a key/with+plus %20 and ü 東京.warc.gz", "a//b?c#d=e&f.warc"])
def test_an_object_is_read_whatever_its_key(bucket, options, key):
    path = bucket.put(key, CONTENT)
    assert read_all(path, options) == CONTENT
    assert stat_archive(path, options).size == len(CONTENT)
    with open_archive(path, options) as stream:
        assert stream.etag == stat_archive(path, options).etag
        assert stream.seek(-5, 2) == len(CONTENT) - 5
        assert stream.read() == CONTENT[-5:]
        stream.seek(0)
        assert stream.read(3) == CONTENT[:3]


def test_an_empty_object_is_empty(bucket, options):
    path = bucket.put("empty.warc.gz", b"")
    assert read_all(path, options) == b""


def test_broken_bodies_refusals_and_error_pages_change_nothing(bucket):
    path = bucket.put("faults.warc.gz", CONTENT)
    with FaultProxy(bucket.endpoint, refused=0.2, cut=0.5, page_with_200=0.1, seed=3) as proxy:
        through = FetchOptions(s3_endpoint=proxy.url, **QUICK)
        for _ in range(5):
            assert read_all(path, through) == CONTENT
        assert proxy.counts["cut"] > 5
        assert proxy.counts["refused"]
        assert proxy.counts["page_with_200"]


def test_an_object_that_changes_while_it_is_read_is_an_error(bucket, options):
    path = bucket.put("changing.warc.gz", CONTENT)
    with open_archive(path, options) as stream:
        assert stream.read(10) == CONTENT[:10]
        bucket.put("changing.warc.gz", CONTENT[::-1])
        stream.seek(len(CONTENT) - 100)
        with pytest.raises(ArchiveChangedError, match="changed while it was read"):
            stream.read(10)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("s3://{bucket}/no such key", r"s3://metaclip-\w+/no such key: there is no such key"),
        ("s3://no-such-bucket-anywhere/key", "no-such-bucket-anywhere/key: there is no such bucket"),
    ],
)
def test_what_is_not_there_is_named(bucket, options, path, message):
    path = path.format(bucket=bucket.name)
    with pytest.raises(FileNotFoundError, match=message):
        open_archive(path, options)
    with pytest.raises(FileNotFoundError, match=re.escape(path)):
        stat_archive(path, options)


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (403, "AccessDenied", "no permission; check the credentials"),
        (400, "ExpiredToken", "credentials have expired.*renew them and run again with --resume"),
        (403, "RequestTimeTooSkewed", "this machine's clock is wrong"),
    ],
)
def test_refusals_name_bucket_key_and_what_to_do(monkeypatch, status, code, message):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "old")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "old")
    clients = []
    made = boto3.session.Session.client
    monkeypatch.setattr(
        boto3.session.Session, "client", lambda *args, **named: clients.append(1) or made(*args, **named)
    )
    page = f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode()
    with ScriptedServer(lambda *_request: (status, {"Content-Type": "application/xml"}, page)) as server:
        options = FetchOptions(s3_endpoint=server.url, **QUICK)
        for call in (open_archive, stat_archive):
            with pytest.raises(OSError, match=message) as refusal:
                call("s3://bucket/key", options)
            assert "s3://bucket/key" in str(refusal.value)
            assert "\n" not in str(refusal.value)
    # Expired credentials are asked for anew before the archive is given up.
    assert len(clients) > 2 if code == "ExpiredToken" else len(clients) == 1


def test_a_fresh_client_reads_on_with_new_credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "old")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "old")
    expired = b"<Error><Code>ExpiredToken</Code><Message>m</Message></Error>"

    def script(_number, _method, _path, headers):
        if "Credential=new/" in headers["authorization"]:
            return 200, {"ETag": TAG}, CONTENT
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "new")
        return 400, {}, expired

    with ScriptedServer(script) as server:
        assert read_all("s3://bucket/key", FetchOptions(s3_endpoint=server.url, **QUICK)) == CONTENT


def test_missing_credentials_are_named(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with ScriptedServer(lambda *_request: (200, {"ETag": TAG}, CONTENT)) as server:
        options = FetchOptions(s3_endpoint=server.url, **QUICK)
        with pytest.raises(PermissionError, match="s3://bucket/key: no usable AWS credentials"):
            open_archive("s3://bucket/key", options)
        anonymous = FetchOptions(s3_access="anonymous", s3_endpoint=server.url, **QUICK)
        assert read_all("s3://bucket/key", anonymous) == CONTENT
        assert "authorization" not in server.seen[-1][2]


def test_a_requester_pays(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "k")
    with ScriptedServer(lambda *_request: (200, {"ETag": TAG}, CONTENT)) as server:
        paying = FetchOptions(s3_access="requester-pays", s3_endpoint=server.url, **QUICK)
        assert read_all("s3://bucket/key", paying) == CONTENT
        assert server.seen[-1][2]["x-amz-request-payer"] == "requester"


def test_listings_go_on_after_a_page_of_keys(bucket, options, monkeypatch):
    # moto's pages are made short; those of a real server have a thousand keys.
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")
    keys = 23 if is_moto() else 1003
    for number in range(keys):
        bucket.put(f"many/{number:04d}.warc.gz", b"")
    bucket.put("many/", b"")
    pages = list(fetch_s3.list_pages(f"s3://{bucket.name}/", options, Bucket=bucket.name, Prefix="many/"))
    assert len(pages) > 1
    found = [key for key, _ in fetch_s3.list_s3(f"s3://{bucket.name}/many/", options)]
    assert found == [f"many/{number:04d}.warc.gz" for number in range(keys)]


def ranged(headers):
    start = int(headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
    part = {"Content-Range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"} if start else {}
    return (206 if start else 200), {"ETag": TAG, **part}, CONTENT[start:]


@pytest.mark.parametrize("status", [403, 429, 503])
def test_the_web_is_asked_again_when_it_says_slow_down(status):
    def script(number, _method, _path, headers):
        return (status, {"Retry-After": "0"}, b"") if number < 4 else ranged(headers)

    with ScriptedServer(script) as server:
        assert read_all(f"{server.url}/a.warc.gz", FetchOptions(**QUICK)) == CONTENT
        assert len(server.seen) == 4


def test_retry_after_is_kept_up_to_the_cap(monkeypatch):
    waits = []
    monkeypatch.setattr("udfs.sources.resume.sleep", waits.append)

    def script(number, _method, _path, headers):
        return (429, {"Retry-After": "7"}, b"") if number == 1 else ranged(headers)

    with ScriptedServer(script) as server:
        read_all(f"{server.url}/a", FetchOptions(first_delay_seconds=0.1))
    assert waits == [7.0]


def test_a_cut_answer_of_the_web_is_resumed_on_condition():
    def script(number, _method, _path, headers):
        status, given, body = ranged(headers)
        cut = body[: len(body) // 2] if number < 6 else body
        return status, {**given, "Content-Length": str(len(body))}, cut

    with ScriptedServer(script) as server:
        assert read_all(f"{server.url}/a.warc.gz", FetchOptions(**QUICK)) == CONTENT
        later = [headers for _, _, headers in server.seen[1:]]
        assert len(later) == 5
        assert all(headers["if-match"] == TAG and headers["range"] != "bytes=0-" for headers in later)


@pytest.fixture(params=["https", "s3"])
def reached(request):
    """Gives the path of a file on a scripted server, and how it is reached: as a web file and as an object of S3."""

    def reach(server):
        if request.param == "s3":
            return "s3://bucket/a.warc.gz", FetchOptions(s3_access="anonymous", s3_endpoint=server.url, **QUICK)
        return f"{server.url}/a.warc.gz", FetchOptions(**QUICK)

    return reach


def cut_at(size, headers):
    """The right answer, which breaks off after so many bytes."""
    status, given, body = ranged(headers)
    return status, {**given, "Content-Length": str(len(body))}, body[:size]


def test_the_whole_file_in_answer_to_a_range_request_is_not_taken_for_the_part(reached):
    def script(number, _method, _path, headers):
        return cut_at(3_000_000, headers) if number == 1 else (200, {"ETag": TAG}, CONTENT)

    with ScriptedServer(script) as server:
        with pytest.raises(OSError, match=r"/a\.warc\.gz: the server ignores Range requests"):
            read_all(*reached(server))
        assert ["range" in headers for _, _, headers in server.seen] == [False, True]


def test_the_whole_file_is_not_taken_for_its_end_after_a_seek(reached):
    with ScriptedServer(lambda *_request: (200, {"ETag": TAG}, CONTENT)) as server:
        path, options = reached(server)
        with open_archive(path, options) as stream:
            assert stream.seek(-7, 2) == len(CONTENT) - 7
            with pytest.raises(OSError, match="the server ignores Range requests"):
                stream.read()


@pytest.mark.parametrize("times", [2, 99], ids=["a while", "for good"])
def test_another_part_of_the_file_is_not_taken_for_the_part(reached, times):
    """A cache that answers with the beginning, though with status 206."""

    def script(number, _method, _path, headers):
        if number == 1:
            return cut_at(3_000_000, headers)
        if number - 1 > times:
            return ranged(headers)
        wrong = {"ETag": TAG, "Content-Range": f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"}
        return 206, wrong, CONTENT

    with ScriptedServer(script) as server:
        if times < 9:
            assert read_all(*reached(server)) == CONTENT
        else:
            with pytest.raises(OSError, match=r"the server answered 'bytes 0-.* when asked for bytes [23][0-9]*-"):
                read_all(*reached(server))


PART_OF_THE_SAME_SIZE = {"Content-Range": f"bytes 3000000-3000100/{len(CONTENT)}"}


@pytest.mark.parametrize("cut", [0, 3_000_000], ids=["at the beginning", "in the middle"])
@pytest.mark.parametrize(("status", "given"), [(200, {}), (206, PART_OF_THE_SAME_SIZE)], ids=["whole", "part"])
def test_an_error_page_without_an_etag_where_an_answer_broke_off_is_asked_again(reached, cut, status, given):
    def script(number, _method, _path, headers):
        if number == 1:
            return cut_at(cut, headers)
        return (status, given, SLOW_DOWN) if number < 4 else ranged(headers)

    with ScriptedServer(script) as server:
        assert read_all(*reached(server)) == CONTENT
        assert len(server.seen) == 4


def test_error_pages_without_an_etag_that_stay_are_an_error_and_no_change_of_the_file(reached):
    def script(number, _method, _path, headers):
        return cut_at(3_000_000, headers) if number == 1 else (200, {}, SLOW_DOWN)

    with ScriptedServer(script) as server:
        path, options = reached(server)
        with pytest.raises(OSError, match=r"an error page \(given up after 3 attempts\)"):
            read_all(path, replace(options, attempts=3))


def test_a_web_file_that_changes_is_an_error():
    def script(number, _method, _path, headers):
        status, given, body = ranged(headers)
        return status, {**given, "ETag": f'"{number}"', "Content-Length": str(len(body))}, body[: len(body) // 2]

    with ScriptedServer(script) as server, pytest.raises(ArchiveChangedError, match="changed while it was read"):
        read_all(f"{server.url}/a.warc.gz", FetchOptions(**QUICK))


def test_an_error_page_with_status_200_is_an_error_at_last():
    with ScriptedServer(lambda *_request: (200, {}, SLOW_DOWN)) as server:
        with pytest.raises(OSError, match=r"error page with status 200.*SlowDown"):
            open_archive(f"{server.url}/a.warc.gz", FetchOptions(attempts=3, **QUICK))
        assert len(server.seen) == 3


@pytest.mark.parametrize(("status", "error", "said"), [(404, FileNotFoundError, "no such file"), (401, OSError, "401")])
def test_refusals_of_the_web_name_the_url(status, error, said):
    with ScriptedServer(lambda *_request: (status, {}, b"")) as server, pytest.raises(error, match=said) as refusal:
        open_archive(f"{server.url}/a.warc.gz", FetchOptions(**QUICK))
    assert "/a.warc.gz" in str(refusal.value)
    assert len(server.seen) == 1


def test_messages_hold_no_credentials():
    with ScriptedServer(lambda *_request: (401, {}, b"")) as server:
        url = f"{server.url.replace('://', '://user:secret@')}/a.warc.gz?X-Amz-Signature=secret"
        for call in (open_archive, stat_archive):
            with pytest.raises(OSError, match="401") as refusal:
                call(url, FetchOptions(**QUICK))
            assert "/a.warc.gz?..." in str(refusal.value)
            assert "secret" not in str(refusal.value)
    with pytest.raises(OSError, match=r"127\.0\.0\.1:9/a") as refusal:
        open_archive("http://user:secret@127.0.0.1:9/a?token=secret", FetchOptions(attempts=1, **QUICK))
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_with_the_same_range_and_condition(status):
    with ScriptedServer(lambda _number, _method, _path, headers: cut_once(headers)) as target:

        def script(_number, _method, path, _headers):
            if path == "/start":
                return status, {"Location": "second?step=2"}, b"moved"
            return status, {"Location": f"{target.url}/a.warc.gz?X-Amz-Signature=secret"}, b"moved"

        with ScriptedServer(script) as server:
            assert read_all(f"{server.url}/start", FetchOptions(**QUICK)) == CONTENT
            assert stat_archive(f"{server.url}/start", FetchOptions(**QUICK)).size == len(CONTENT)
            assert [path for _, path, _ in server.seen[:2]] == ["/start", "/second?step=2"]
        resumed = [headers for method, _, headers in target.seen if method == "GET" and "range" in headers]
        assert resumed
        assert all(headers["if-match"] == TAG for headers in resumed)


def cut_once(headers):
    status, given, body = ranged(headers)
    cut = body if "range" in headers else body[: len(body) // 2]
    return status, {**given, "Content-Length": str(len(body))}, cut


def test_redirects_take_no_credentials_to_another_host():
    with ScriptedServer(lambda _number, _method, _path, headers: ranged(headers)) as target:

        def script(*_request):
            return 302, {"Location": f"{target.url}/b"}, b""

        with ScriptedServer(script) as server:
            url = f"{server.url.replace('://', '://user:secret@')}/a?token=secret"
            assert read_all(url, FetchOptions(**QUICK)) == CONTENT
        assert all("secret" not in f"{path}{headers}" for _, path, headers in target.seen)
        assert all("authorization" not in headers for _, _, headers in target.seen)


@pytest.mark.parametrize(
    ("location", "said"),
    [
        (
            "ftp://user:secret@other.example/a?x=secret",
            r"\(redirected to ftp://other.example/a\?\.\.\.\): only redirects",
        ),
        ("file:///etc/passwd", r"\(redirected to file:///etc/passwd\): only redirects"),
        ("s3://bucket/key", r"\(redirected to s3://bucket/key\): only redirects"),
        ("/again?x=secret", r"/again\?\.\.\.\): more than 5 redirects"),
        ("http://[broken/", "points to an invalid URL"),
        ("", "status 302"),
    ],
)
def test_a_redirect_that_leads_nowhere_is_one_line(location, said):
    with ScriptedServer(lambda *_request: (302, {"Location": location} if location else {}, b"")) as server:
        for call in (open_archive, stat_archive):
            before = len(server.seen)
            with pytest.raises(OSError, match=said) as refusal:
                call(f"{server.url}/a.warc.gz?x=secret", FetchOptions(**QUICK))
            assert f"{server.url}/a.warc.gz?..." in str(refusal.value)
            assert "secret" not in str(refusal.value)
            assert "\n" not in str(refusal.value)
            assert len(server.seen) - before <= 6


def test_what_fails_behind_a_redirect_is_named_with_both_urls():
    def script(_number, _method, path, _headers):
        return (404, {}, b"") if path.startswith("/b") else (302, {"Location": "/b?X-Amz-Signature=secret"}, b"")

    with ScriptedServer(script) as server, pytest.raises(FileNotFoundError) as refusal:
        open_archive(f"{server.url}/a", FetchOptions(**QUICK))
    assert str(refusal.value).startswith(f"{server.url}/a (redirected to {server.url}/b?...): there is no such file")


@pytest.mark.parametrize("status", [403, 405, 501])
def test_a_url_that_is_signed_for_get_alone_is_looked_up_by_get(status):
    def script(_number, method, _path, headers):
        return (status, {}, b"") if method == "HEAD" else ranged(headers)

    with ScriptedServer(script) as server:
        assert stat_archive(f"{server.url}/a?sig=x", FetchOptions(**QUICK)).size == len(CONTENT)
        assert [method for method, _, _ in server.seen] == ["HEAD", "GET"]


def test_malformed_headers_are_no_warning_that_quotes_the_url(caplog):
    # The blank in a header's name makes urllib3 warn.
    with ScriptedServer(lambda *_request: (200, {"ETag": TAG, "bad name": "x"}, b"0123")) as server:
        assert read_all(f"{server.url}/a?token=secret", FetchOptions(**QUICK)) == b"0123"
    assert "secret" not in caplog.text


def test_credentials_in_an_s3_url_are_refused_and_not_shown(options):
    for call in (open_archive, stat_archive):
        with pytest.raises(ValueError, match="'s3a://bucket/key' was given with credentials in it") as refusal:
            call("s3a://KEY:SECRET@bucket/key", options)
        assert "SECRET" not in str(refusal.value)


class Vault(fsspec.AbstractFileSystem):
    """A store that quotes what it was asked for, as many do."""

    fault: type = OSError
    asked = ""

    @classmethod
    def _strip_protocol(cls, path):
        cls.asked = path if "://" in path else cls.asked
        return path

    def info(self, _path, **_options):
        raise self.fault(f"401 for {self.asked}")

    def _open(self, path, **_options):
        self.info(path)


@pytest.mark.parametrize("fault", [OSError, PermissionError, ValueError, RuntimeError])
def test_what_a_package_says_of_a_fault_is_kept_but_for_the_credentials(monkeypatch, fault):
    fsspec.register_implementation("vault", Vault, clobber=True)
    monkeypatch.setattr(Vault, "fault", fault)
    expected = OSError if fault is RuntimeError else fault
    for call in (open_archive, stat_archive):
        with pytest.raises(expected, match=r"401 for vault://\.\.\.host/a\.warc\?\.\.\.") as refusal:
            call("vault://user:secret@host/a.warc?sv=secret", FetchOptions())
        assert "secret" not in str(refusal.value)


def test_a_body_that_breaks_off_is_named_without_credentials():
    with ScriptedServer(lambda *_request: (200, {"ETag": TAG, "Content-Length": "9"}, b"0123")) as server:
        url = f"{server.url.replace('://', '://user:secret@')}/a?token=secret"
        with pytest.raises(OSError, match=r"/a\?\.\.\.: the answer broke off") as refusal:
            read_all(url, FetchOptions(attempts=1, **QUICK))
    assert "secret" not in str(refusal.value)


def test_nobody_listens():
    options = FetchOptions(attempts=2, **QUICK)
    with pytest.raises(OSError, match=r"127\.0\.0\.1:9/a.*given up after 2 attempts"):
        open_archive("http://127.0.0.1:9/a", options)


def test_other_schemes_need_their_package():
    with pytest.raises(ValueError, match=r"no package for abfs:// is installed; install adlfs"):
        open_archive("abfs://container/a.warc.gz")
    with pytest.raises(ValueError, match="'carrier://pigeon/a\\?\\.\\.\\.': carrier:// is unknown"):
        open_archive("carrier://user:secret@pigeon/a?token=secret")

    fsspec.filesystem("memory").pipe_file("/a.warc", b"0123")
    assert read_all("memory://a.warc", FetchOptions()) == b"0123"


@pytest.mark.parametrize("path", ["http://me:secret@{}/a.warc.gz", "s3://bucket/a.warc.gz"])
def test_a_refused_connection_is_one_short_line_after_few_attempts(path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    host = f"127.0.0.1:{port}"
    options = FetchOptions("anonymous", s3_endpoint=f"http://{host}", first_delay_seconds=0.001)
    with pytest.raises(OSError, match="connection refused") as refusal:
        open_archive(path.format(host), options)
    shown = path.format(host).replace("me:secret@", "")
    assert str(refusal.value) == f"{shown}: cannot connect to {host} (connection refused) (given up after 5 attempts)"
