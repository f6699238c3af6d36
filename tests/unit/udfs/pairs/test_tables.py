"""Files with pairs: every row is a pair or a reason, whatever the file holds."""

import gzip
import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.support.paths import CHECKOUT
from udfs.pairs import tables as pool_files
from udfs.pairs.rules import pair_id
from udfs.pairs.tables import read_pool_batches
from udfs.schemas import ARCHIVE_PATHS, EXTRACTED

GOOD = [("https://example.org/a.jpg", " a dog\n"), ("http://example.org/b.jpg", "東京 tower")]


def read(path, **more) -> tuple[list[dict], dict]:
    task = pa.RecordBatch.from_pylist([{"archive": path.name, "path": str(path)}], schema=ARCHIVE_PATHS)
    batches = list(read_pool_batches(iter([task]), url_column="url", text_column="text", **more))
    assert all(batch.schema == EXTRACTED for batch in batches)
    rows = [row for batch in batches for row in batch.to_pylist()]
    archives = [row for row in rows if row["kind"] == "archive"]
    assert len(archives) == 1
    archive = {**archives[0], "rejected": dict(archives[0]["rejected"])}
    for total, part, prefix in (
        ("records", "pages", "record."),
        ("images", "images_kept", "image."),
        ("texts", "pairs", "text."),
    ):
        lost = sum(number for reason, number in archive["rejected"].items() if reason.startswith(prefix))
        assert archive[total] == archive[part] + lost
    return [row for row in rows if row["kind"] == "pair"], archive


def lines(*rows) -> bytes:
    return b"".join(json.dumps({"url": url, "text": text}).encode() + b"\n" for url, text in rows)


LOADED = """
import sys
import pyarrow as pa
from udfs.pairs.kernel import pair_kernel
from udfs.pairs.md5_kernel import md5_kernel
from udfs.pairs.tables import read_pool_batches
from udfs.schemas import ARCHIVE_PATHS
task = pa.RecordBatch.from_pylist([{"archive": "a", "path": sys.argv[1]}], schema=ARCHIVE_PATHS)
pairs = sum(batch.num_rows for batch in read_pool_batches(iter([task]), url_column="url", text_column="text")) - 1
print(pairs, pair_kernel.loaded is not None, md5_kernel.loaded is not None)
"""


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_a_worker_that_reads_tables_alone_uses_what_was_compiled(tmp_path, form):
    path = tmp_path / f"pairs.{form}"
    path.write_bytes(lines(*GOOD))
    if form == "parquet":
        pq.write_table(pa.table({"url": [url for url, _ in GOOD], "text": [text for _, text in GOOD]}), path)
    command = [sys.executable, "-c", LOADED, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=CHECKOUT)
    assert done.stdout.split() == ["2", "True", "True"]


@pytest.mark.parametrize(
    "form", ["parquet", "jsonl", "jsonl.gz", "jsonl.zst", "crlf.jsonl", "bom.jsonl", "no_end.jsonl"]
)
def test_every_form_gives_the_same_pairs(tmp_path, form):
    path = tmp_path / f"pairs.{form}"
    if form == "parquet":
        table = pa.table({"text": [text for _, text in GOOD], "more": [1, 2], "url": [url for url, _ in GOOD]})
        pq.write_table(table, path)
    else:
        content = {
            "crlf.jsonl": lines(*GOOD).replace(b"\n", b"\r\n"),
            "bom.jsonl": b"\xef\xbb\xbf" + lines(*GOOD),
            "no_end.jsonl": lines(*GOOD)[:-1],
            "jsonl.gz": gzip.compress(lines(GOOD[0])) + gzip.compress(lines(GOOD[1])),
            "jsonl.zst": zstandard.compress(lines(GOOD[0])) + zstandard.compress(lines(GOOD[1])),
        }.get(form, lines(*GOOD))
        path.write_bytes(content)
    pairs, archive = read(path)
    assert [(row["image_url"], row["alt_text"]) for row in pairs] == [(GOOD[0][0], "a dog"), GOOD[1]]
    assert [row["pair_id"] for row in pairs] == [pair_id(row["image_url"], row["alt_text"]) for row in pairs]
    assert [(row["record_offset"], row["image_index"], row["source"]) for row in pairs] == [
        (0, 0, "alt"),
        (1, 0, "alt"),
    ]
    assert {row["page_url"] for row in pairs} == {None}
    assert {row["archive"] for row in pairs} == {path.name}
    assert (archive["status"], archive["records"], archive["rejected"]) == ("ok", 2, {})


def test_a_bad_line_costs_itself_only(tmp_path, monkeypatch):
    monkeypatch.setattr(pool_files, "MAX_LINE_BYTES", 500)
    bad = [
        b"{broken\n",
        b"[1, 2]\n",
        b'{"text": "no url"}\n',
        b'{"url": "https://example.org/no_text.jpg"}\n',
        b"\n",
        b'{"url": 5, "text": "a number"}\n',
        b'{"url": "https://example.org/x.jpg", "text": ["a", "list"]}\n',
        b'{"url": "https://example.org/x.jpg", "text": null}\n',
        b'{"url": "https://example.org/x.jpg", "text": "  "}\n',
        b'{"url": "data:image/png;base64,AA", "text": "a"}\n',
        b'{"url": "https://example.org/x.jpg", "text": "\xff"}\n',
        b'{"url": "https://example.org/long.jpg", "text": "' + b"x" * 1500 + b'"}\n',
        b'{"url": "https://example.org/x.jpg", "text": "a"}{"url": "u", "text": "b"}\n',
        b'{"url": "https://example.org/nan.jpg", "text": NaN}\n',
    ]
    path = tmp_path / "bad.jsonl"
    path.write_bytes(lines(GOOD[0]) + b"".join(bad) + lines(GOOD[1]))
    pairs, archive = read(path)
    assert [row["record_offset"] for row in pairs] == [0, len(bad) + 1]
    assert archive["rejected"] == {
        "record.invalid_json": 4,
        "record.not_an_object": 1,
        "record.no_url_key": 1,
        "record.no_text_key": 1,
        "record.line_too_long": 1,
        "image.not_a_string": 1,
        "image.data_url": 1,
        "image.no_text": 1,
        "text.not_a_string": 1,
        "text.empty": 1,
    }


@pytest.mark.parametrize(
    ("line", "url", "text"),
    [
        (rb'{"url": "https://h.org/1", "text": "cut \ud83d"}', "https://h.org/1", "cut \ufffd"),
        (rb'{"url": "https://h.org/\uDE00/2", "text": "low"}', "https://h.org/\ufffd/2", "low"),
        (
            rb'{"url": "https://h.org/3", "text": "a\ud83d\ud83d\ude00\u0041b"}',
            "https://h.org/3",
            "a\ufffd\U0001f600Ab",
        ),
        (rb'{"url": "https://h.org/4", "text": "\\ud83d \\\ud83d"}', "https://h.org/4", "\\ud83d \\\ufffd"),
        (rb'{"url": "https://h.org/5", "text": "ok", "m\ud83d": {"\udfff": ["\uD800"]}}', "https://h.org/5", "ok"),
        (rb'{"text": "first \ud83d", "url": "https://h.org/6", "text": "last"}', "https://h.org/6", "last"),
    ],
)
def test_lone_surrogates_are_replaced_and_pairs_kept(tmp_path, line, url, text):
    (tmp_path / "odd.jsonl").write_bytes(line)
    pairs, archive = read(tmp_path / "odd.jsonl")
    assert [(row["image_url"], row["alt_text"]) for row in pairs] == [(url, text)]
    assert archive["rejected"] == {}


@pytest.mark.parametrize("rest", [rb"NaN}", b'"\xff"}', rb'"a"} {}', b'"\x01"}', rb'"\q"}', rb'"\ud83"}', rb'"a"'])
def test_a_lone_surrogate_makes_no_other_fault_pass(tmp_path, rest):
    (tmp_path / "odd.jsonl").write_bytes(rb'{"url": "https://h.org/\ud83d", "text": ' + rest)
    pairs, archive = read(tmp_path / "odd.jsonl")
    assert (pairs, archive["rejected"]) == ([], {"record.invalid_json": 1})


def test_endings_are_known_in_upper_case(tmp_path):
    pq.write_table(pa.table({"url": [GOOD[0][0]], "text": ["a dog"]}), tmp_path / "A.PARQUET")
    (tmp_path / "B.JSONL.GZ").write_bytes(gzip.compress(lines(GOOD[0])))
    for name in ("A.PARQUET", "B.JSONL.GZ"):
        pairs, _ = read(tmp_path / name)
        assert [row["alt_text"] for row in pairs] == ["a dog"]


@pytest.mark.parametrize("ending", ["jsonl.gz", "jsonl.zst"])
def test_a_truncated_file_is_damaged_and_keeps_its_lines(tmp_path, ending):
    content = lines(*[(f"https://example.org/{number}.jpg", f"text {number * 7919}") for number in range(20_000)])
    packed = gzip.compress(content) if ending.endswith("gz") else zstandard.compress(content)
    path = tmp_path / f"cut.{ending}"
    path.write_bytes(packed[: len(packed) // 2])
    pairs, archive = read(path)
    assert archive["status"] == "damaged"
    assert archive["rejected"]["archive.truncated"] == 1
    assert 1_000 < len(pairs) < 20_000


def test_no_rows_no_bytes_and_no_file(tmp_path):
    pq.write_table(
        pa.table({"url": pa.array([], pa.string()), "text": pa.array([], pa.string())}), tmp_path / "a.parquet"
    )
    (tmp_path / "b.jsonl").write_bytes(b"")
    for name in ("a.parquet", "b.jsonl"):
        pairs, archive = read(tmp_path / name)
        assert (pairs, archive["status"], archive["records"]) == ([], "ok", 0)
    _, archive = read(tmp_path / "missing.jsonl")
    assert archive["status"] == "failed"


def test_a_parquet_file_with_a_broken_page_is_failed(tmp_path):
    path = tmp_path / "broken.parquet"
    pq.write_table(pa.table({"url": ["https://example.org/a.jpg"] * 5000, "text": [str(n) for n in range(5000)]}), path)
    content = bytearray(path.read_bytes())
    content[40:400] = b"\0" * 360
    path.write_bytes(content)
    _, archive = read(path)
    assert archive["status"] == "failed"


def test_string_types_of_parquet(tmp_path):
    url, text = GOOD[0]
    table = pa.table({"url": pa.array([url], pa.large_string()), "text": pa.array([text]).dictionary_encode()})
    pq.write_table(table, tmp_path / "types.parquet")
    pairs, _ = read(tmp_path / "types.parquet")
    assert [row["alt_text"] for row in pairs] == ["a dog"]


def test_columns_of_strings_give_what_single_rows_give(tmp_path):
    """Lines are read one by one, a table's columns by the compiled loop; a batch ends within the table."""
    urls = [
        "https://h.org/a.jpg",
        "http://h.org/b c.jpg",
        "https://é.org/a",
        "data:x",
        "",
        None,
        "/a",
        "//h.org/a",
        "ftp://h/a",
    ]
    texts = ["a dog", " a\ndog\r", "\xa0東京\u3000", "", "  ", None, "a\x00b", "é"]
    kinds = len(urls) * len(texts)
    rows = [(urls[n % len(urls)], texts[n % kinds // len(urls)]) for n in range(9_000)]
    rows = [(url and url + (str(n) if url == urls[0] else ""), text) for n, (url, text) in enumerate(rows)]
    table = pa.table({"url": pa.array([url for url, _ in rows]), "text": pa.array([text for _, text in rows])})
    pq.write_table(table, tmp_path / "a", row_group_size=5_000)
    (tmp_path / "a").rename(tmp_path / "a.parquet")
    (tmp_path / "a").write_bytes(lines(*rows))
    found = [read(tmp_path / name) for name in ("a", "a.parquet")]
    for pairs, archive in found:
        assert len(pairs) > 1_000
        pairs.sort(key=lambda row: row["record_offset"])
        for row in (*pairs, archive):
            row["archive"] = row["size"] = row["etag"] = row["bytes_read"] = None
    assert found[0] == found[1]


TAGS = ["en", "de-AT", None, "zh-yue", "jp", ""]
CODES = ["en", "de", None, "yue", None, None]


@pytest.mark.parametrize("form", ["parquet", "dictionary.parquet", "row.parquet", "jsonl"])
def test_what_pages_declared_is_read_where_a_file_has_it(tmp_path, form):
    """The last row of one form keeps its batch from the compiled loop."""
    rows = [
        {"url": f"https://h.org/{n}.jpg", "text": " a\xa0" if n == 7 else "a", "page_language": TAGS[n % 6]}
        | {"page_preferences": [0, None, 63, 1 << 30][n % 4]}
        for n in range(10_000)
    ]
    path = tmp_path / f"a.{form}"
    if form == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        types = {"page_language": pa.string(), "page_preferences": pa.int32()}
        columns = {name: pa.array([row[name] for row in rows], types.get(name)) for name in rows[0]}
        if form == "dictionary.parquet":
            columns["page_language"] = columns["page_language"].dictionary_encode()
        if form == "row.parquet":
            columns["page_preferences"] = pa.array([*columns["page_preferences"].to_pylist()[:-1], -1], pa.int32())
        pq.write_table(pa.table(columns), path)
    pairs, archive = read(path)
    assert [
        (row["page_language"], row["page_preferences"]) for row in sorted(pairs, key=lambda row: row["record_offset"])
    ] == [(CODES[n % 6], row["page_preferences"]) for n, row in enumerate(rows) if form != "row.parquet" or n < 9_999]
    assert archive["rejected"] == ({"record.bad_page_preferences": 1} if form == "row.parquet" else {})


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_labels_of_a_named_column_stay_as_they_are(tmp_path, form):
    """Whether the compiled loop reads a row, or, since its text has two white spaces around it, Python does."""
    labels = ["zh-Hant-HK", "en", None, " sr_Latn ", "", "x" * 1000]
    rows = [
        {"url": f"https://h.org/{n}.jpg", "text": "\xa0a\xa0" if n % 7 == 3 else "a", "label": labels[n % 6]}
        | {"page_language": "de"}
        for n in range(10_000)
    ]
    path = tmp_path / f"a.{form}"
    if form == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"url": 1, "text": "a"}\n')
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    pairs, archive = read(path, language_column="label")
    found = [row["page_language"] for row in sorted(pairs, key=lambda row: row["record_offset"])]
    assert found == [["zh-Hant-HK", "en", None, "sr_Latn", None, "x" * 1000][n % 6] for n in range(10_000)]
    assert archive["rejected"] == ({"image.not_a_string": 1} if form == "jsonl" else {})


def test_a_row_whose_page_declared_something_else_is_counted(tmp_path):
    odd = [("page_language", 5), ("page_language", ["en"]), ("page_preferences", "1"), ("page_preferences", 1.5)]
    odd += [("page_preferences", True), ("page_preferences", -1), ("page_preferences", 1 << 31)]
    good = {"url": GOOD[0][0], "text": "a dog", "page_language": None, "page_preferences": None}
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({**good, **dict([each])}) + "\n" for each in [*odd, ("more", 1)]))
    pairs, archive = read(path)
    assert [(row["record_offset"], row["page_language"], row["page_preferences"]) for row in pairs] == [(7, None, None)]
    assert archive["rejected"] == {"record.bad_page_language": 2, "record.bad_page_preferences": 5}


def test_columns_of_nulls_without_a_type_are_null(tmp_path):
    table = pa.table({"url": [GOOD[0][0]], "text": ["a dog"], "page_language": [None], "page_preferences": [None]})
    pq.write_table(table, tmp_path / "a.parquet")
    pairs, _ = read(tmp_path / "a.parquet")
    assert [(row["page_language"], row["page_preferences"]) for row in pairs] == [(None, None)]


def test_strings_that_are_no_utf_8_fail_the_file_by_name(tmp_path):
    validity_and_offsets = pa.array(["aa"]).buffers()[:2]
    texts = pa.Array.from_buffers(pa.string(), 1, [*validity_and_offsets, pa.py_buffer(b"\xffa")])
    pq.write_table(pa.table({"url": [GOOD[0][0]], "text": texts}), tmp_path / "bytes.parquet")
    pairs, archive = read(tmp_path / "bytes.parquet")
    assert (pairs, archive["status"], archive["rejected"]) == ([], "failed", {"archive.read_error": 1})
