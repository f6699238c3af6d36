"""Whole runs over URLs that hold credentials: they stand in no file of the output and in nothing that is printed."""

import pytest

from metaclip_spark.runs.ledger import ledger_of
from tests.support.archive_files import page_record
from tests.support.fault_server import ScriptedServer
from tests.support.jobs import call, rows, state_of

pytestmark = pytest.mark.usefixtures("spark")
ARCHIVE = page_record(1) + page_record(2)
SECRETS = ("s3cr3tUser", "s3cr3tWord", "s3cr3tSignature", "s3cr3tTarget")


def new_script():
    """Gives archives to who signs, and all kinds of trouble."""
    broken_off = set()
    fixed = {
        "/good.warc": (200, {"ETag": '"a"'}, ARCHIVE),
        "/odd-header.warc": (200, {"ETag": '"a"', "odd name": "x"}, ARCHIVE),
        "/moved.warc": (302, {"Location": "/good.warc?token=s3cr3tTarget"}, b""),
        "/moved-away.warc": (302, {"Location": "ftp://u:s3cr3tWord@other.example/?token=s3cr3tTarget"}, b""),
        "/moved-to-nothing.warc": (302, {"Location": "/nothing.warc?token=s3cr3tTarget"}, b""),
    }

    def script(_number, _method, path, _headers):
        name, _, query = path.partition("?")
        if "s3cr3t" not in query:
            return 401, {}, b""
        if name == "/broken-off.warc" and query not in broken_off:
            broken_off.add(query)
            return 200, {"Content-Length": str(len(ARCHIVE))}, ARCHIVE[:100]
        return fixed.get(name, (404, {}, b""))

    return script


def write_list(path, server, signature):
    named = ["good", "moved", "moved-away", "moved-to-nothing", "nothing", "broken-off", "odd-header"]
    host = server.url.replace("://", "://s3cr3tUser:s3cr3tWord@")
    lines = [f"{host}/{name}.warc?X-Amz-Signature={signature}" for name in named]
    lines += [
        "s3a://s3cr3tUser:s3cr3tWord@bucket/a.warc",
        "sftp://s3cr3tUser:s3cr3tWord@127.0.0.1:9/a.warc",
        f"abfs://c@account.dfs.core.windows.net/a.warc?sv={signature}",
        "http://s3cr3tUser:s3cr3tWord@127.0.0.1:port/a.warc",
    ]
    path.write_text("\n".join(lines))
    return len(lines)


def assert_no_secret(output, printed):
    files = [path for path in output.rglob("*") if path.is_file()]
    assert files
    texts = [printed.out, printed.err, *(path.read_bytes().decode("latin-1") for path in files)]
    texts += [str(row) for table in ("archives", "rejects") for row in rows(output, table)]
    assert [secret for secret in SECRETS for text in texts if secret in text] == []


def test_a_run_over_signed_urls_shows_none_and_goes_on_with_new_signatures(tmp_path, capfd):
    output, paths = tmp_path / "out", tmp_path / "warc.paths"
    options = ("--archives", paths, "--output", output, "--attempts", 1, "--max-parallel-archives", 2)
    with ScriptedServer(new_script()) as server:
        lines = write_list(paths, server, "s3cr3tSignature-1")
        assert call("extract_pool", *options) == 1
        assert_no_secret(output, capfd.readouterr())
        ledgered = ledger_of(state_of(output)).accepted()
        assert {name.rpartition("/")[2] for name in ledgered} == {"good.warc", "moved.warc", "odd-header.warc"}

        asked = len(server.seen)
        write_list(paths, server, "s3cr3tSignature-2")
        assert call("extract_pool", *options, "--resume", "--max-failed-archives", lines) == 0
        assert_no_secret(output, capfd.readouterr())
        # What was read is looked up by its new URL, and not read again.
        assert [path for method, path, _ in server.seen[asked:] if method == "GET" and "good" in path] == []
        found = rows(output, "archives")
        assert len(found) == lines
        assert {row["archive"] for row in found if row["status"] == "ok"} == set(ledgered)


@pytest.mark.parametrize(
    "options",
    [
        ("extract_pool", "--pool", "{url}/lost.parquet?token=s3cr3tSignature"),
        ("extract_pool", "--archives", "{url}/lost.paths?token=s3cr3tSignature"),
        ("extract_pool", "--archives", "s3a://s3cr3tUser:s3cr3tWord@bucket/x"),
        ("extract_pool", "--archives", "sftp://s3cr3tUser:s3cr3tWord@127.0.0.1/x"),
        ("lint_metadata", "--metadata", "{url}/lost.json?token=s3cr3tSignature"),
        ("extract_pool", "--archives", "x.warc", "--output", "s3a://s3cr3tUser:s3cr3tWord@bucket/out"),
    ],
)
def test_refusals_show_no_credentials(tmp_path, capfd, options):
    with ScriptedServer(new_script()) as server:
        url = server.url.replace("://", "://s3cr3tUser:s3cr3tWord@")
        given = [option.format(url=url) for option in options]
        given += [] if "--output" in given or given[0] == "lint_metadata" else ["--output", tmp_path / "out"]
        assert call(*given) == 2
    printed = capfd.readouterr()
    assert "error: " in printed.err
    assert not any(secret in printed.out + printed.err for secret in SECRETS)
