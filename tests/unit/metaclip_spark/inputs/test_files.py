"""What --archives and --pool name."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark.errors import InputError, SchemaMismatchError
from metaclip_spark.inputs.files import check_pool_files, resolve_archives, resolve_pool


@pytest.fixture
def folder(tmp_path):
    for name in ("b/one.warc.gz", "b/two.wat.gz", "a/one.warc.gz", "a/notes.txt", "a/.hidden.warc.gz"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


def names(*items, prefix=""):
    return [archive for archive, _ in resolve_archives([str(item) for item in items], prefix)]


def test_files_folders_and_globs_are_named_independently_of_where_they_lie(folder):
    assert names(folder) == ["a/one.warc.gz", "b/one.warc.gz", "b/two.wat.gz"]
    assert names(folder / "*/*.warc.gz") == ["a/one.warc.gz", "b/one.warc.gz"]
    assert names(folder / "b") == ["one.warc.gz", "two.wat.gz"]
    assert names(folder / "?") == ["a/one.warc.gz", "b/one.warc.gz", "b/two.wat.gz"]
    assert names(folder / "b/one.warc.gz") == ["one.warc.gz"]


@pytest.mark.parametrize("ending", ["wat.paths", "wat.paths.gz", "list.txt"])
def test_path_lists_keep_their_lines_as_names(folder, ending):
    lines = "\ufeffb/two.wat.gz\r\n\r\nb/one.warc.gz\r\nb/two.wat.gz\r\ncrawl/missing.wat.gz\r\n".encode()
    path = folder / ending
    path.write_bytes(gzip.compress(lines) if ending.endswith(".gz") else lines)
    found = resolve_archives([str(path)], f"{folder}/")
    assert found == [(line, f"{folder}/{line}") for line in ("b/one.warc.gz", "b/two.wat.gz", "crawl/missing.wat.gz")]
    absolute = folder / "absolute.txt"
    absolute.write_text("https://example.org/x.warc.gz\n/data/y.warc.gz\n")
    assert resolve_archives([str(absolute)], "s3://bucket") == [
        ("/data/y.warc.gz", "/data/y.warc.gz"),
        ("https://example.org/x.warc.gz", "https://example.org/x.warc.gz"),
    ]


def test_path_lists_are_cut_at_lf_and_crlf_only(tmp_path):
    lines = [f"a{character}b.warc.gz" for character in "\u2028\u2029\x0b\x0c\x1c\x85\r"] + ["\u00a0c.warc.gz\u2028"]
    (tmp_path / "list.txt").write_bytes("\r\n".join(lines).encode() + b"\n \t\r\n\n")
    assert {archive for archive, _ in resolve_archives([str(tmp_path / "list.txt")])} == set(lines)


def test_lines_of_a_path_list_lose_their_credentials_in_names_only(tmp_path):
    urls = {
        "https://host/a.warc.gz?X-Amz-Signature={}": "https://host/a.warc.gz",
        "sftp://user:{}@host/b.warc.gz": "sftp://host/b.warc.gz",
        "abfs://c@account.dfs.core.windows.net/d.warc?sv={}": "abfs://c@account.dfs.core.windows.net/d.warc",
        "s3://bucket/e?f.warc.gz": "s3://bucket/e?f.warc.gz",
        "relative?g.warc.gz": "relative?g.warc.gz",
    }
    found = []
    for signature in ("first", "second"):
        path = tmp_path / f"{signature}.paths"
        path.write_text("\n".join(url.format(signature) for url in urls))
        found.append(dict(resolve_archives([str(path)])))
        assert found[-1] == {name: url.format(signature) for url, name in urls.items()}
    # A re-signed list names the same archives.
    assert list(found[0]) == list(found[1])


def test_urls_that_differ_in_their_credentials_only_are_refused_without_them(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("https://host/get?secret=1\nhttps://host/get?secret=2\n")
    with pytest.raises(
        InputError, match=r"https://host/get is named twice, with another user info or query"
    ) as refusal:
        names(path)
    assert "secret" not in str(refusal.value)
    path.write_text("https://host/get?secret=1\nhttps://host/get?secret=1\n")
    assert names(path) == ["https://host/get"]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("missing.warc.gz", "missing.warc.gz: no such file or folder"),
        ("*.warc", "matches no file"),
        ("lost.paths.gz", "lost.paths.gz: no such file"),
    ],
)
def test_what_is_not_there_is_refused(folder, item, message):
    with pytest.raises(InputError, match=message):
        names(folder / item)


def test_a_folder_without_archives_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no file"):
        names(tmp_path)


@pytest.mark.parametrize(
    "content", [b"\x1f\x8b broken", gzip.compress(b"a")[:-4], gzip.compress(b"a")[:10] + b"\xff" * 9, b"\xff"]
)
def test_a_broken_path_list_is_refused(tmp_path, content):
    (tmp_path / "wat.paths.gz").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        names(tmp_path / "wat.paths.gz")


def test_two_archives_with_one_name_are_refused_and_both_named(folder):
    with pytest.raises(InputError, match=r"a/one\.warc\.gz and .*b/one\.warc\.gz would both be called one\.warc\.gz"):
        names(folder / "a/one.warc.gz", folder / "b/one.warc.gz")
    assert names(folder / "a/one.warc.gz", folder / "a/one.warc.gz") == ["one.warc.gz"]


def test_one_file_found_in_several_ways_is_read_once(folder):
    path = folder / "list.txt"
    lines = ("b/one.warc.gz", f"{folder}/b/one.warc.gz", "b/../b/one.warc.gz", "# a comment")
    path.write_text("\n".join(lines))
    assert len(resolve_archives([str(path)], str(folder))) == 1
    assert names(folder / "**" / "*.gz") == ["a/one.warc.gz", "b/one.warc.gz", "b/two.wat.gz"]
    assert names(folder / "b", folder) == ["a/one.warc.gz", "b/one.warc.gz", "b/two.wat.gz"]


def test_what_another_job_has_not_committed_is_left_out(folder):
    for name in ("pool/_temporary/0/part-0.warc.gz", ".hidden/x.warc.gz"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(b"")
    assert names(folder) == ["a/one.warc.gz", "b/one.warc.gz", "b/two.wat.gz"]


def test_links_to_folders_are_followed_and_their_cycles_end(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "deep").mkdir()
    (elsewhere / "deep/x.warc.gz").write_bytes(b"")
    (elsewhere / "up").symlink_to(folder)
    (folder / "link").symlink_to(elsewhere)
    (folder / "0-second-link").symlink_to(elsewhere / "deep")
    (folder / "a/self").symlink_to(folder / "a")
    (folder / "0-to-b").symlink_to("b")
    (folder / "dangling").symlink_to(folder / "nothing")
    (folder / ".hidden").symlink_to(elsewhere)
    # What lies there itself keeps its own name; of several links the first counts.
    expected = ["0-second-link/x.warc.gz", "a/one.warc.gz", "b/one.warc.gz", "b/two.wat.gz"]
    assert names(folder) == expected
    assert names(folder / "**" / "*.gz") == expected
    assert names(folder / "link") == ["deep/x.warc.gz", "up/a/one.warc.gz", "up/b/one.warc.gz", "up/b/two.wat.gz"]


def test_endings_are_known_in_upper_case(tmp_path):
    for name in ("A.WARC.GZ", "b.Wat.Zst", "c.ARC", "D.PARQUET", "e.JsonL.gz", "notes.md"):
        (tmp_path / name).write_bytes(b"")
    archives = ["A.WARC.GZ", "b.Wat.Zst", "c.ARC"]
    assert names(tmp_path) == archives
    assert [name for name, _ in resolve_pool([str(tmp_path)])] == ["D.PARQUET", "e.JsonL.gz"]
    with pytest.raises(SchemaMismatchError, match=r"D\.PARQUET \(no Parquet footer"):
        check_pool_files(resolve_pool([str(tmp_path)]), url_column="url", text_column="text")
    (tmp_path / "LIST.TXT").write_text("a.warc\n")
    assert names(tmp_path / "LIST.TXT") == ["a.warc"]


def test_names_that_are_not_utf8_are_refused(tmp_path):
    (tmp_path / "\udcff.warc.gz").write_bytes(b"")
    with pytest.raises(InputError, match="is not UTF-8"):
        names(tmp_path)
    with pytest.raises(InputError, match="nosuchuser"):
        names("~nosuchuser/x.warc.gz")


def test_all_footers_are_checked_and_the_offenders_named(tmp_path):
    good = pa.table({"url": ["u"], "text": pa.array(["t"]).dictionary_encode(), "more": [1]})
    pq.write_table(good, tmp_path / "good.parquet")
    pq.write_table(good.slice(0, 0), tmp_path / "no_rows.parquet")
    paths = resolve_pool([str(tmp_path)])
    check_pool_files(paths, url_column="url", text_column="text")
    pq.write_table(good.drop_columns(["text"]), tmp_path / "renamed.parquet")
    pq.write_table(pa.table({"url": ["u"], "text": [b"bytes"]}), tmp_path / "typed.parquet")
    (tmp_path / "half.parquet").write_bytes((tmp_path / "good.parquet").read_bytes()[:-20])
    (tmp_path / "_metadata").write_bytes(b"")
    (tmp_path / "_SUCCESS").write_bytes(b"")
    with pytest.raises(SchemaMismatchError) as refused:
        check_pool_files(resolve_pool([str(tmp_path)]), url_column="url", text_column="text")
    message = str(refused.value)
    assert message.startswith("--pool: 3 of 5 files")
    assert "renamed.parquet (no column text; it has url, more)" in message
    assert "typed.parquet (text is binary, not a string)" in message
    assert "half.parquet (no Parquet footer: empty or half-written)" in message


def test_what_pages_declared_may_be_in_a_pool_with_its_type(tmp_path):
    good = {"url": ["u"], "text": ["t"], "page_language": ["en"], "page_preferences": pa.array([1], pa.int32())}
    pq.write_table(pa.table(good), tmp_path / "good.parquet")
    pq.write_table(pa.table({**good, "page_language": [None], "page_preferences": [None]}), tmp_path / "null.parquet")
    check_pool_files(resolve_pool([str(tmp_path)]), url_column="url", text_column="text")
    pq.write_table(pa.table({**good, "page_preferences": [1]}), tmp_path / "long.parquet")
    pq.write_table(pa.table({**good, "page_language": [1]}), tmp_path / "number.parquet")
    names = ["url", "text", "page_language", "page_language"]
    pq.write_table(pa.table([["u"], ["t"], ["en"], ["en"]], names=names), tmp_path / "twice.parquet")
    with pytest.raises(SchemaMismatchError) as refused:
        check_pool_files(resolve_pool([str(tmp_path)]), url_column="url", text_column="text")
    message = str(refused.value)
    assert message.startswith("--pool: 3 of 5 files")
    assert "long.parquet (page_preferences is int64, not int32: cast the column, or rename it)" in message
    assert "number.parquet (page_language is int64, not string: cast the column, or rename it)" in message
    assert "twice.parquet (two columns page_language)" in message


def test_pool_files_are_known_by_their_ending(tmp_path):
    for name in ("x.jsonl.gz", "y.csv"):
        (tmp_path / name).write_bytes(b"")
    assert [archive for archive, _ in resolve_pool([str(tmp_path / "x.jsonl.gz")])] == ["x.jsonl.gz"]
    with pytest.raises(InputError, match=r"does not end with \.parquet, \.jsonl, "):
        resolve_pool([str(tmp_path / "y.csv")])


def test_a_link_to_a_folder_changes_no_name(tmp_path):
    """Nor does one that a glob's other folder holds: a run that goes on would extract the archive again."""
    for name in ("a/d.warc", "b/deep/c.warc", "b/z.warc"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"x")
    (tmp_path / "data").symlink_to(tmp_path / "in")
    for named in ("in", "in/*", "in/**/*", "data", "data/*", "data/**/*"):
        before = [archive for archive, _ in resolve_archives([str(tmp_path / named)])]
        assert before == ["a/d.warc", "b/deep/c.warc", "b/z.warc"]
    (tmp_path / "in" / "a" / "link").symlink_to(tmp_path / "in" / "b")
    (tmp_path / "in" / "b" / "loop").symlink_to(tmp_path / "in")
    for named in ("in", "in/*", "in/**/*", "data", "data/*", "data/**/*"):
        assert [archive for archive, _ in resolve_archives([str(tmp_path / named)])] == before


def test_a_pattern_that_is_none_is_refused(tmp_path):
    (tmp_path / "t").mkdir()
    with pytest.raises(InputError, match=r"a\*\* is not a pattern|matches no file"):
        resolve_archives([str(tmp_path / "t" / "a**")])
