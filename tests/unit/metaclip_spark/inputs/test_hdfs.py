"""Archives and lists on a real HDFS."""

import gzip
import io
import os
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark.entries.counts import load_entry_counts
from metaclip_spark.entries.files import is_folder
from metaclip_spark.entries.metadata import load_metadata
from metaclip_spark.errors import InputError, MetadataError, SchemaMismatchError
from metaclip_spark.inputs.files import ARCHIVE_ENDINGS, check_pool_files, resolve_archives, resolve_pool
from metaclip_spark.inputs.remote import files_of_url, read_path_list
from tests.support.jobs import CHECKOUT, SAMPLE
from udfs.sources import DEFAULT_OPTIONS, open_archive, stat_archive
from udfs.sources.fsspec_stores import filesystem_of

CONTENT = (SAMPLE / "sample-00000.warc.gz").read_bytes()


def parquet(columns):
    content = io.BytesIO()
    pq.write_table(pa.table(columns), content)
    return content.getvalue()


@pytest.fixture(scope="module", params=["hdfs", "webhdfs"])
def root(hdfs, request):
    """A folder with archives, by the URL of one of the two ways to it."""
    folder = hdfs.new_folder()
    filesystem, below = filesystem_of(folder)
    for name in ("a.warc.gz", "sub/b.WARC.gz", "sub/_c.warc.gz"):
        filesystem.pipe_file(f"{below}/{name}", CONTENT)
    filesystem.pipe_file(f"{below}/list.paths", b"a.warc.gz\nsub/b.WARC.gz\n")
    return folder if request.param == "hdfs" else folder.replace(hdfs.url, hdfs.web_url)


@pytest.mark.parametrize(
    ("item", "names"),
    [
        ("", ["a.warc.gz", "sub/b.WARC.gz"]),
        ("/", ["a.warc.gz", "sub/b.WARC.gz"]),
        ("/sub", ["b.WARC.gz"]),
        ("/*.warc.gz", ["a.warc.gz"]),
        ("/*/*.WARC.gz", ["sub/b.WARC.gz"]),
        ("/a.warc.gz", ["a.warc.gz"]),
    ],
)
def test_names_are_those_of_other_stores(root, item, names):
    found = files_of_url(root + item, ARCHIVE_ENDINGS, DEFAULT_OPTIONS)
    assert [archive for archive, _ in found] == names
    for _, path in found:
        assert path.startswith(root)
        assert stat_archive(path).size == len(CONTENT)


@pytest.mark.parametrize("name", ["a#1.warc.gz", "a?b.warc.gz", "a;b c%20.warc.gz", "#x/?y/a.warc.gz"])
def test_every_character_belongs_to_a_name(hdfs, name):
    folder = hdfs.new_folder()
    filesystem, below = filesystem_of(folder)
    filesystem.pipe_file(f"{below}/{name}", b"0123")
    [found] = files_of_url(folder, ARCHIVE_ENDINGS, DEFAULT_OPTIONS)
    assert found == (name, f"{folder}/{name}")
    assert open_archive(found.path).read() == b"0123"


def test_a_question_mark_in_a_glob_is_a_character(root):
    found = files_of_url(f"{root}/?.warc.gz", ARCHIVE_ENDINGS, DEFAULT_OPTIONS)
    assert [archive for archive, _ in found] == ["a.warc.gz"]


def test_the_root_and_capitals_of_the_scheme(hdfs):
    filesystem, _ = filesystem_of(hdfs.url)
    filesystem.pipe_file("/at-root.warc.gz", b"0123")
    for item in (f"{hdfs.url}/", f"{hdfs.url}/*.warc.gz", f"{hdfs.url.replace('hdfs', 'HDFS')}/at-root.warc.gz"):
        found = files_of_url(item, ARCHIVE_ENDINGS, DEFAULT_OPTIONS)
        assert open_archive(dict(found)["at-root.warc.gz"]).read() == b"0123"


def test_a_user_in_the_url_is_refused():
    with pytest.raises(InputError, match=r"a user belongs into the environment variable HADOOP_USER_NAME"):
        files_of_url("hdfs://alice@127.0.0.1:1/in", ARCHIVE_ENDINGS, DEFAULT_OPTIONS)


def test_a_folder_of_counts_is_one(root):
    assert is_folder(f"{root}/sub")
    assert not is_folder(f"{root}/a.warc.gz")


def test_a_list_counts_and_a_pool_lie_there(hdfs):
    folder = hdfs.new_folder()
    filesystem, below = filesystem_of(folder)
    filesystem.pipe_file(f"{below}/list.json.gz", gzip.compress(b'["a dog", "cat"]'))
    metadata = load_metadata(f"{folder}/list.json.gz")
    assert metadata.entries == ("a dog", "cat")
    for entry, text in enumerate(metadata.entries):
        columns = {"entry_id": pa.array([entry], "int32"), "entry_text": [text], "entry_count": [entry + 5]}
        filesystem.pipe_file(f"{below}/counts/part-{entry}.parquet", parquet(columns))
    assert list(load_entry_counts(f"{folder}/counts", metadata)) == [5, 6]
    with pytest.raises(MetadataError, match=f"{folder}/lost.json: no such file"):
        load_metadata(f"{folder}/lost.json")
    filesystem.pipe_file(f"{below}/pool/a.parquet", parquet({"url": ["https://example.org/a.jpg"], "text": ["a dog"]}))
    pool = resolve_pool([f"{folder}/pool"])
    assert pool == [("a.parquet", f"{folder}/pool/a.parquet")]
    check_pool_files(pool, url_column="url", text_column="text")
    with pytest.raises(SchemaMismatchError, match="no column caption; it has url, text"):
        check_pool_files(pool, url_column="url", text_column="caption")


def test_lines_of_a_list_lie_below_the_prefix(root):
    found = resolve_archives([f"{root}/list.paths"], prefix=root)
    assert [open_archive(path).read() for _, path in found] == [CONTENT, CONTENT]
    assert read_path_list(f"{root}/list.paths", DEFAULT_OPTIONS) == ["a.warc.gz", "sub/b.WARC.gz"]


def test_a_file_is_read_at_any_place(root):
    with open_archive(f"{root}/a.warc.gz") as stream:
        assert stream.seek(1000) == stream.tell() == 1000
        assert stream.read(10) == CONTENT[1000:1010]
        assert stream.read(-1) == CONTENT[1010:]
        assert stream.read(10) == b""
        assert stream.seek(-5, os.SEEK_END) == len(CONTENT) - 5


def test_the_tag_changes_with_the_content_only(hdfs):
    file = f"{hdfs.new_folder()}/a.warc.gz"
    filesystem, below = filesystem_of(file)
    filesystem.pipe_file(below, CONTENT)
    before = stat_archive(file)
    modified = filesystem.info(below)["modification_time"]
    filesystem.client.set_times(below, modified, modified + 86_400_000)
    assert stat_archive(file) == before
    time.sleep(0.01)
    filesystem.pipe_file(below, CONTENT)
    assert stat_archive(file).etag != before.etag


def test_what_is_not_there_is_said_in_one_line(root):
    for item in (f"{root}/nothing", f"{root}/nothing/*.warc.gz", f"{root}/*.arc"):
        with pytest.raises(InputError) as caught:
            files_of_url(item, ARCHIVE_ENDINGS, DEFAULT_OPTIONS)
        assert str(caught.value).startswith(f"{item} names no file that ends with one of ")
    with pytest.raises(FileNotFoundError, match=f"^{root}/nothing.warc.gz: [^\n]*$"):
        open_archive(f"{root}/nothing.warc.gz")


@pytest.mark.parametrize("item", ["hdfs://127.0.0.1:1/in", "hdfs://127.0.0.1:1/in/*.warc.gz"])
def test_a_namenode_that_is_down_is_not_an_empty_folder(item):
    with pytest.raises(InputError, match="Connection refused") as caught:
        files_of_url(item, ARCHIVE_ENDINGS, DEFAULT_OPTIONS)
    assert str(caught.value).startswith(f"{item}: ")


def test_a_url_without_a_server_needs_a_setting(monkeypatch):
    for name in ("HADOOP_CONF_DIR", "HADOOP_HOME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        InputError, match=r"^hdfs:///in names no server, and no core-site.xml says which is meant: write"
    ):
        files_of_url("hdfs:///in", ARCHIVE_ENDINGS, DEFAULT_OPTIONS)


def test_what_another_user_may_not_list_is_not_left_out(root, hdfs):
    filesystem, below = filesystem_of(hdfs.url)
    below = f"/{root.rpartition('/')[2]}"
    filesystem.client.set_permission(f"{below}/sub", 0o700)
    # The name of the user is settled when the first client is made.
    program = f"""
from metaclip_spark.inputs.files import resolve_archives
try:
    print(resolve_archives([{root!r}]))
except Exception as error:
    print(f"{{type(error).__name__}}: {{error}}")
print([archive for archive, _ in resolve_archives([{root + "/*.warc.gz"!r}])])
"""
    alice = {**os.environ, "HADOOP_USER_NAME": "alice", "PYTHONPATH": str(CHECKOUT)}
    try:
        done = subprocess.run([sys.executable, "-c", program], env=alice, capture_output=True, text=True, check=True)
    finally:
        filesystem.client.set_permission(f"{below}/sub", 0o755)
    refused, glob = done.stdout.splitlines()
    assert refused.startswith(f"InputError: {root}")
    assert "Permission denied: user=alice" in refused
    assert glob == "['a.warc.gz']"


def test_a_process_that_has_looked_there_can_start_others(root):
    # As pyspark starts the JVM: with a function that runs between fork and exec.
    program = f"""
import subprocess
from metaclip_spark.inputs.files import resolve_archives
resolve_archives([{root!r}])
print(subprocess.Popen(["true"], preexec_fn=lambda: None).wait())
"""
    here = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    assert subprocess.check_output([sys.executable, "-c", program], env=here, timeout=60) == b"0\n"


def test_without_a_package_one_line_says_which():
    program = """
import sys
sys.modules["hdfs_native"] = None
from fsspec.registry import register_implementation
register_implementation("hdfs", "fsspec.implementations.arrow.HadoopFileSystem", clobber=True)
from metaclip_spark.inputs.files import resolve_archives
try:
    resolve_archives(["hdfs://127.0.0.1:1/in"])
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""
    bare = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run([sys.executable, "-c", program], env=bare, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(
        "InputError: cannot open 'hdfs://127.0.0.1:1/in': hdfs:// needs the package hdfs-native"
    )
    assert len(done.stdout.splitlines()) == 1
