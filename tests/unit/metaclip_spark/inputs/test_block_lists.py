"""The lists that users give: their forms, and a line for each mistake."""

import gzip
import json
import re
import socket
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from metaclip_spark.errors import InputError, brief
from metaclip_spark.inputs import block_lists
from metaclip_spark.inputs.block_lists import BlockList, digest_of, read_block_list, tables_of
from udfs.exclusion.digest_table import make_table, short_digest
from udfs.exclusion.kinds import KINDS
from udfs.exclusion.registrable_domain import is_public_suffix


def read(path: Path | list[Path], kind: str = "url", **options: Any) -> BlockList:
    return read_block_list(
        "--block", kind, [str(each) for each in (path if isinstance(path, list) else [path])], **options
    )


def has(found: BlockList, *keys: str) -> bool:
    return found.table.digests.tolist() == make_table(b"".join(map(short_digest, keys))).digests.tolist()


def write(folder: Path, content: str | bytes, name: str = "list.txt") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path: Path, kind: str = "url", **options: Any) -> str:
    with pytest.raises(InputError) as error:
        read(path, kind, **options)
    return str(error.value).replace(f"{path.parent}/", "")


def warnings(caplog: pytest.LogCaptureFixture, path: Path) -> list[str]:
    return [record.message.replace(f"{path.parent}/", "") for record in caplog.records]


TEXT = "\ufeff# a comment\n\nhttp://Example.org/a \r\n  https://example.org/b#c\nhttp://example.org/a\n//example.org/d"
KEYS = ("example.org/a", "example.org/b", "example.org/d")
ROWS = [{"value": "http://example.org/a"}, {"value_sha256": sha256(b"example.org/b").hexdigest()}]
ROWS += [{"value": None, "value_sha256": f"sha256:{sha256(b'example.org/d').hexdigest().upper()}"}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list", TEXT.encode()),
        ("list.txt.gz", gzip.compress(TEXT.encode())),
        ("list.txt.zst", zstandard.compress(TEXT.encode())),
        ("list.jsonl", "\n".join(map(json.dumps, ROWS)).encode()),
        ("list.jsonl.gz", gzip.compress("\n".join(map(json.dumps, ROWS)).encode())),
    ],
)
def test_forms_of_a_list(tmp_path: Path, name: str, content: bytes) -> None:
    assert has(read(write(tmp_path, content, name)), *KEYS)


def test_parquet_and_several_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    table = pa.table(
        {"value": [row.get("value") for row in ROWS], "value_sha256": [row.get("value_sha256") for row in ROWS]}
    )
    pq.write_table(table, tmp_path / "a" / "list.parquet")
    pq.write_table(pa.table({"value": ["//e.org", "//e.org"]}), tmp_path / "list.parquet")
    assert has(read(tmp_path / "a"), *KEYS)
    assert has(read([tmp_path / "a", tmp_path / "list.parquet", tmp_path / "list.parquet"]), *KEYS, "e.org/")


@pytest.mark.parametrize(
    ("kind", "text", "keys"),
    [
        ("image_domain", "Example.org. # why\n0.0.0.0 a.example b.example#c\n::1 c.example\nd.example", ["example.org"]
         + [f"{letter}.example" for letter in "abcd"]),
        ("page_domain", "bücher.example", ["xn--bcher-kva.example"]),
        ("prefix", "http://example.org\nhttp://example.org/a/\n", ["example.org/", "example.org/a/"]),
        ("page", "http://example.org/a?b#c", ["example.org/a?b"]),
        ("pair", "ABCDEF0123456789ABCDEF0123456789", ["abcdef0123456789abcdef0123456789"]),
        ("image", f"{'A' * 32}\n{'b' * 64}\n{'c' * 128}", ["a" * 32, "b" * 64, "c" * 128]),
        ("text", "a dog # 1\n  Ein Hund\n# a comment\na\tb", ["a dog # 1", "Ein Hund", "a\tb"]),
        ("image", f"sha256:{'B' * 64}", ["b" * 64]),
        ("pair", f"sha256:{sha256(b'0' * 32).hexdigest()}", ["0" * 32]),
        ("text", f"sha256:{sha256(b'a dog').hexdigest()}", ["a dog"]),
    ],
)  # fmt: skip
def test_values_of_each_kind(tmp_path: Path, kind: str, text: str, keys: list[str]) -> None:
    found = read(write(tmp_path, text), kind)
    assert has(found, *keys)
    assert found.unusable == 0


def test_a_list_that_is_missing(tmp_path: Path) -> None:
    assert refusal(tmp_path / "list.txt") == "--block list.txt: no such file or folder"


@pytest.mark.parametrize("content", ["", "\n\n", "# nothing\n"])
def test_an_empty_list_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str) -> None:
    path = write(tmp_path, content)
    assert read(path).table.size == 0
    assert warnings(caplog, path) == ["--block list.txt is empty: it excludes nothing"]


def test_values_that_are_no_urls_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad = [f"word{number}" for number in range(7)]
    path = write(tmp_path, "\n".join(["http://a.org/ok", *bad, *(f"http://a.org/{number}" for number in range(6))]))
    found = read(path)
    assert (found.table.size, found.unusable) == (7, 7)
    what = "is no URL with http or https and a host"
    examples = "; ".join(f"line {number + 2} of list.txt {what}: 'word{number}'" for number in range(5))
    assert warnings(caplog, path) == [f"--block list.txt: 7 of 14 values cannot be used, and are left out: {examples}"]


def test_a_list_most_of_which_cannot_be_used_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "http://a.org/\nb\nc")
    what = "is no URL with http or https and a host"
    assert refusal(path) == (
        "--block list.txt: 2 of 3 values, more than half, cannot be used: "
        f"line 2 of list.txt {what}: 'b'; line 3 of list.txt {what}: 'c'"
    )
    assert refusal(write(tmp_path, "b")) == (
        f"--block list.txt: none of 1 value can be used: line 1 of list.txt {what}: 'b'"
    )


UNUSABLE = [
    ("url", "ftp://a.org/b", "is no URL with http or https and a host"),
    ("url", "http://a.org/b\tc", "holds a control character"),
    ("url", "http://a.org/\x00", "holds a control character"),
    ("page", "http://a.org:x/b", "is no URL with http or https and a host"),
    ("prefix", "http://a.org/b", "is no URL with http or https and a host that ends with a slash"),
    ("image_domain", "http://a.org/", "is no domain"),
    ("page_domain", "a.org b.org", "is no domain"),
    ("image_domain", "*/a.org", "is no domain"),
    ("image_domain", "*.a.org", "is no domain"),
    ("page_domain", "||a.org^", "is no domain"),
    ("image_domain", "0.0.0.0 a.org,", "is no domain"),
]


@pytest.mark.parametrize(("kind", "value", "problem"), UNUSABLE)
def test_values_that_cannot_be_used(tmp_path: Path, kind: str, value: str, problem: str) -> None:
    assert f"line 2 of list.txt {problem}: " in refusal(write(tmp_path, f"# one\n{value}\n"), kind)


def test_lines_of_megabytes_and_bytes_that_are_no_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    long = b"http://a.org/" + b"x" * (1 << 20)
    path = write(tmp_path, b"http://a.org/1\n" + long + b"\n\xff\xfe\nhttp://a.org/2\nhttp://a.org/3\n" + long[:-13])
    found = read(path)
    assert (found.table.size, found.unusable) == (4, 2)
    assert "line 2 of list.txt is longer than 1,048,576 bytes: 'http://a.org..." in warnings(caplog, path)[0]
    assert "; line 3 of list.txt is not UTF-8: " in warnings(caplog, path)[0]


@pytest.mark.parametrize(
    ("kind", "value", "wanted"),
    [
        ("pair", "abc", "32"),
        ("image", "a" * 40, "32 or 64 or 128"),
        ("url", "sha256:abc", "64"),
        ("image", f"sha256:{'a' * 32}", "64"),
        ("pair", "z" * 32, "32"),
    ],
)
def test_hashes_of_the_wrong_length(tmp_path: Path, kind: str, value: str, wanted: str) -> None:
    shown = value.removeprefix("sha256:")
    message = refusal(write(tmp_path, f"\n{value}"), kind)
    assert message.startswith("--block list.txt, line 2: '")
    assert message.endswith(f"' is no hash of {wanted} hexadecimal digits: correct the line")
    assert shown[:5].strip("'") in message


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("list.jsonl", '{"value": "//a.org"}\n{"url": "//b.org"}',
         'line 2, has no string "value" or "value_sha256": correct the row'),
        ("list.jsonl", '{"value": 1}', 'line 1, has no string "value" or "value_sha256": correct the row'),
        ("list.jsonl", '\n["//a.org"]', 'line 2, is no object: give "value" or "value_sha256" in each line'),
        ("list.jsonl", "//a.org", "line 1, is not JSON: '//a.org'; text must not be named .jsonl"),
    ],
)  # fmt: skip
def test_jsonl_with_other_columns(tmp_path: Path, name: str, content: str, message: str) -> None:
    assert refusal(write(tmp_path, content, name)) == f"--block {name}, {message}"


def test_parquet_with_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "list.parquet"
    pq.write_table(pa.table({"url": ["a"], "b": [1]}), path)
    assert refusal(path) == "--block list.parquet has no column value or value_sha256; it has url and b"
    pq.write_table(pa.table({"value": [1]}), path)
    assert refusal(path) == "--block list.parquet: its column value is int64: it must hold strings"
    pq.write_table(pa.Table.from_arrays([pa.array(["a"])] * 2, ["value", "value"]), path)
    assert refusal(path) == "--block list.parquet has two columns value: write it with one of each name"
    pq.write_table(pa.table({"value": ["//a.org", None]}), path)
    assert refusal(path) == ('--block list.parquet, row 2, has no string "value" or "value_sha256": correct the row')
    path.write_bytes(b"PAR1")
    assert refusal(path) == "--block list.parquet is no Parquet file, or a half-written one: write it again"


def test_a_damaged_file(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(b"http://a.org/\n" * 1000)[:-20], "list.gz")
    assert refusal(path).startswith("--block list.gz cannot be read (its compression is damaged: truncated, ")


def test_a_public_suffix_is_refused_by_name(tmp_path: Path) -> None:
    path = write(tmp_path, "example.org\nCO.UK\n")
    assert refusal(path, "image_domain") == (
        "--block list.txt, line 2: co.uk is a public suffix, below which anyone can register a name: name the domains "
        "that are meant, or add --allow-public-suffix"
    )
    assert has(read(path, "image_domain", allow_public_suffix=True), "example.org", "co.uk")


def test_public_suffixes_are_known_without_network_and_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    known = ["co.uk", "github.io", "org", "a.ck", "xn--p1ai"]
    assert list(map(is_public_suffix, known)) == [True] * 5
    others = ["example.org", "a.github.io", "localhost", "www.ck", "192.0.2.1"]
    assert list(map(is_public_suffix, others)) == [False] * 5
    assert not list(tmp_path.iterdir())


def test_too_many_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_lists, "MOST_VALUES", 2)
    assert read(write(tmp_path, "//a.org\n//b.org")).table.size == 2
    assert refusal(write(tmp_path, "//a.org\n//b.org\n//c.org")) == (
        "--block list.txt, line 3: more than 2 values: the greatest list has so many; shorten it"
    )


def test_lists_of_one_kind_are_one(tmp_path: Path) -> None:
    first, second = write(tmp_path, "//a.org\n//b.org", "1"), write(tmp_path, "//b.org\n//c.org", "2")
    text = read(write(tmp_path, "a dog", "3"), "text")
    tables = tables_of([text, read(first), read(second)])
    assert list(tables) == ["url", "text"]
    assert digest_of(tables) == digest_of(tables_of([read([second, first]), text]))
    assert tables["url"].size == 3
    assert digest_of(tables) != digest_of(tables_of([read(first), text]))


def test_hashes_of_another_kind_than_the_download_has(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    md5s = write(tmp_path, "\n".join(f"{number:032x}" for number in range(3)))
    assert read(md5s, "image", image_hash="md5").table.size == 3
    what = "is no sha256 of 64 digits, as --downloaded tells"
    told = "; ".join(f"line {number + 1} of list.txt {what}: {brief(f'{number:032x}')}" for number in range(3))
    advice = "give hashes of that kind, or have img2dataset write those of the list (--compute_hash)"
    assert refusal(md5s, "image", image_hash="sha256") == (
        f"--block list.txt: none of 3 values can be used: {told}; {advice}"
    )
    both = write(tmp_path, f"{'a' * 32}\n{'b' * 64}\nsha256:{'c' * 64}")
    found = read(both, "image", image_hash="sha256")
    assert has(found, "b" * 64, "c" * 64)
    assert warnings(caplog, both) == [
        "--block list.txt: 1 of 3 values cannot be used, and are left out: "
        f"line 1 of list.txt {what}: {brief('a' * 32)}; {advice}"
    ]


def test_the_hash_of_an_image_in_a_table(tmp_path: Path) -> None:
    pq.write_table(pa.table({"value_sha256": ["A" * 64]}), tmp_path / "list.parquet")
    assert has(read(tmp_path / "list.parquet", "image", image_hash="sha256"), "a" * 64)
    assert refusal(write(tmp_path, f'{{"value_sha256": "{"a" * 64}"}}', "list.jsonl"), "image", image_hash="md5")


@pytest.mark.parametrize("kind", ["url", "prefix", "image_domain", "page_domain", "page"])
def test_values_are_the_same_many_at_once_and_one_by_one(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    random, is_domains = Random(kind), kind.endswith("domain")
    odd = [
        "",
        "# a comment",
        "  a.org \r",
        "0.0.0.0 b.org c.org # d",
        "A.org",
        "*.a.org",
        "bücher.org",
        "a b",
        "a..org",
        ".a.org",
        "a\0b",
    ]
    odd += [
        "http://a.org/b#c",
        "http://a.org:80/",
        "http://a.org/%7e/",
        "ftp://a.org/",
        "a.org:80",
        "https://a.org/ b/",
    ]
    names = [f"{random.choice(['', 'www.'])}n{random.randrange(500)}.com" for _ in range(2_000)]
    plain = names if is_domains else [f"https://{name}/{random.choice(['', 'a/', 'b/', 'a.jpg'])}" for name in names]
    lines = [line for line in plain for line in (line, *random.choices(odd, k=random.random() < 0.3))]
    path = write(tmp_path, "\n".join(lines))
    many = read(path, kind)
    told = warnings(caplog, path)
    caplog.clear()
    monkeypatch.setattr(block_lists, "PLAIN_KINDS", ())
    one_by_one = read(path, kind)
    assert many.table.digests.tolist() == one_by_one.table.digests.tolist()
    assert (many.unusable, told) == (one_by_one.unusable, warnings(caplog, path))
    assert 0 < many.unusable < len(lines) / 2
    assert many.table.size > 400


def hostile_lines(number: int, random: Random) -> Iterator[bytes]:
    """Yields lines of random bytes, URLs among them, and now and then one of a megabyte."""
    for place in range(number):
        if place % 3 == 0:
            yield b"https://%x.org/%d" % (random.getrandbits(40), place)
        elif place % 10_007 == 1:
            yield bytes([random.randrange(11, 256)]) * (1 << 20) + b"\0"
        elif place % 3 == 1:
            yield random.randbytes(random.randrange(40)).replace(b"\n", b"")
        else:
            yield b"http://a.org/%d" % place


@pytest.mark.parametrize("kind", KINDS)
def test_a_great_list_of_random_lines(tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "list.txt"
    with path.open("wb") as file:
        file.writelines(line + b"\n" for line in hostile_lines(20_000, Random(0)))
    if kind in {"url", "page", "text"}:
        found = read(path, kind)
        assert found.table.size > 13_000
        assert 1_000 < found.unusable < 7_000
        assert "values cannot be used, and are left out: line 2 of" in caplog.text
    elif kind in {"pair", "image"}:
        assert refusal(path, kind).startswith("--block list.txt, line 1: 'https://")
    else:
        told = refusal(path, kind, allow_public_suffix=True)
        assert re.search(r"(none of \S+ values can|more than half, cannot) be used: line 1 of list\.txt is no", told)
