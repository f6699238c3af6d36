"""Tables of digests, and which pairs are listed, against sets in plain Python."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pytest

from tests.support.block_lists import expected_reason
from udfs.exclusion.block_lists import listed_reasons, open_lists, page_occurrences
from udfs.exclusion.digest_table import (
    DigestTable,
    content_digest,
    make_table,
    open_tables,
    short_digest,
    write_tables,
)
from udfs.exclusion.key_kernel import WHOLE, find_listed
from udfs.exclusion.kinds import KINDS, REASONS


def table_of(*keys: str) -> DigestTable:
    return make_table(b"".join(map(short_digest, keys)))


def contains(table: DigestTable, data: np.ndarray, spans: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return find_listed(data, spans, WHOLE, table.starts, table.digests, table.shift)


def reasons(lists: dict[str, Sequence[str]], **columns: list[str | None]) -> list[str | None]:
    tables = {kind: table_of(*keys) for kind, keys in lists.items()}
    arrays = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    return listed_reasons(arrays, tables).to_pylist()


@pytest.mark.parametrize("length", [*range(140), 1000])
def test_digests_are_those_of_sha256(length: int) -> None:
    messages = [Random(seed).randbytes(length) for seed in range(3)]
    table = make_table(b"".join(sha256(message).digest()[:16] for message in messages[:2]))
    ends = length * np.arange(1, 4)
    found = contains(table, np.frombuffer(b"".join(messages), np.uint8), (ends - length, ends))
    assert found.tolist() == [True, True, messages[2] in messages[:2]]


@pytest.mark.parametrize("number", [0, 1, 2, 3, 7, 8, 100, 5000])
def test_a_table_of_any_size_has_its_values_alone(number: int) -> None:
    names = [f"{place}" for place in range(number + 50)]
    table = table_of(*names[:number], *names[: number // 2])
    data, ends = "".join(names).encode(), np.cumsum([len(name) for name in names])
    begins = np.append(0, ends[:-1])
    assert table.size == number
    assert contains(table, np.frombuffer(data, np.uint8), (begins, ends)).tolist() == [True] * number + [False] * 50


def test_digests_that_begin_alike_are_told_apart() -> None:
    digest = short_digest("a")
    others = [digest[:8] + bytes([place]) * 8 for place in range(200)]
    data, span = np.frombuffer(b"a", np.uint8), (np.zeros(1, np.int64), np.ones(1, np.int64))
    assert not contains(make_table(b"".join(others)), data, span)[0]
    assert contains(make_table(b"".join([*others, digest, others[0]])), data, span)[0]
    assert make_table(b"".join([*others, others[0]])).size == 200


def test_a_file_has_the_tables(tmp_path: Path) -> None:
    tables = {"url": table_of("a", "b"), "page": table_of(), "text": table_of(*map(str, range(99)))}
    digest = content_digest(tables)
    write_tables(tables, digest, str(tmp_path / "lists"))
    opened = open_tables(str(tmp_path / "lists"), digest)
    assert list(opened) == list(tables)
    for kind, table in tables.items():
        assert opened[kind].digests.tolist() == table.digests.tolist()
        assert opened[kind].starts.tolist() == table.starts.tolist()
    columns = {"image_url": pa.array(["a"])}
    assert listed_reasons(columns, {"url": opened["url"]}).to_pylist() == ["removed.url"]


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path, tables = tmp_path / "lists", {"url": table_of(*map(str, range(100)))}
    write_tables(tables, "d", str(path))
    with pytest.raises(ValueError, match="holds the block lists d, but this job works with e"):
        open_lists(str(path), "e")
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ValueError, match="cut short within url"):
        open_lists(str(path), "d")
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="not a file of block lists"):
        open_lists(str(path), "d")


def test_the_digest_of_lists_does_not_depend_on_their_order() -> None:
    first = {"url": table_of("a", "b"), "page": table_of("c")}
    assert content_digest(first) == content_digest({"page": table_of("c", "c"), "url": table_of("b", "a")})
    assert content_digest(first) == content_digest({**first, "text": table_of()})
    assert content_digest(first) != content_digest({"url": table_of("a", "b"), "text": table_of("c")})
    assert content_digest(first) != content_digest({"url": table_of("a"), "page": table_of("b", "c")})


@pytest.mark.parametrize(
    ("url", "is_listed"),
    [
        ("http://example.org/a.jpg", True),
        ("http://img.Example.org:8080/a.jpg", True),
        ("http://a.b.example.org/a.jpg", True),
        ("http://ample.org/", False),
        ("http://myexample.org/", False),
        ("http://example.org.net/", False),
        ("http://org/example.org", False),
        ("http://user.example.org@other.org/", False),
        ("ftp://example.org/a", False),
        ("example.org/a", False),
        (None, False),
    ],
)
def test_a_domain_is_listed_with_all_below_it(url: str | None, is_listed: bool) -> None:
    assert reasons({"image_domain": ["example.org"]}, image_url=[url]) == [
        "removed.image_domain" if is_listed else None
    ]


def test_hosts_that_come_again_among_more_than_are_remembered() -> None:
    random = Random(3)
    names = [f"{random.choice('ab')}{number}.{number % 7}.{number % 40_000}.org" for number in range(40_000)]
    listed = {*random.sample(names, 300), "3.77.org", "12345.org", "6.org"}
    hosts = random.choices(names, k=60_000)
    found = reasons({"image_domain": sorted(listed)}, image_url=[f"https://{host}/" for host in hosts])
    expected = [any(host == name or host.endswith(f".{name}") for name in _tails(host) & listed) for host in hosts]
    assert [reason is not None for reason in found] == expected
    assert 100 < sum(expected) < 10_000


def _tails(host: str) -> set[str]:
    labels = host.split(".")
    return {".".join(labels[place:]) for place in range(len(labels))}


@pytest.mark.parametrize(
    ("prefix", "url", "is_listed"),
    [
        ("example.org/", "https://example.org/a", True),
        ("example.org/a/", "https://example.org/a/b/c", True),
        ("example.org/a/", "https://example.org/a/", True),
        ("example.org/a/", "https://example.org/a", False),
        ("example.org/a/", "https://example.org/ab/c", False),
        ("example.org/a/", "https://www.example.org/a/b", False),
        ("example.org/a", "https://example.org/a/b", False),
        ("example.org/?a=/", "https://example.org/?a=/b", True),
        (f"example.org/{'a' * 60}/", f"https://example.org/{'a' * 60}/{'b' * 200}/c", True),
        (f"example.org/{'a/' * 100}", f"https://example.org/{'a/' * 300}", True),
        (f"example.org/{'a/' * 100}", f"https://example.org/{'a/' * 99}", False),
    ],
)
def test_a_prefix_ends_at_a_slash(prefix: str, url: str, is_listed: bool) -> None:
    assert reasons({"prefix": [prefix]}, image_url=[url]) == ["removed.prefix" if is_listed else None]


def test_a_url_of_a_megabyte_of_slashes_takes_no_square_of_time() -> None:
    url = f"http://example.org{'/' * 1_000_000}"
    assert reasons({"prefix": ["example.org/x/"]}, image_url=[url]) == [None]


def test_the_first_reason_counts() -> None:
    row = {
        "pair_id": ["0" * 32],
        "image_url": ["http://img.example.org/a/b.jpg"],
        "page_url": ["http://example.org/page"],
        "alt_text": ["a dog"],
        "image_hash": ["f" * 64],
    }
    listed = {
        "pair": ["0" * 32],
        "url": ["img.example.org/a/b.jpg"],
        "prefix": ["img.example.org/a/"],
        "image_domain": ["example.org"],
        "page_domain": ["example.org"],
        "page": ["example.org/page"],
        "text": ["a dog"],
        "image": ["f" * 64],
    }
    assert tuple(listed) == KINDS
    for place, reason in enumerate(REASONS):
        assert reasons(dict(list(listed.items())[place:]), **row) == [reason]


def test_a_null_is_not_listed_even_where_no_text_is() -> None:
    lists = {"page": ["", "a"], "image": [""], "text": ["b"]}
    assert reasons(lists, page_url=[None, "a"], image_hash=[None, None], alt_text=[None, "b"]) == [None, "removed.page"]


def test_random_lists_as_plain_python_has_them() -> None:
    random = Random(0)
    hosts = ["example.org", "a.example.org", "b.a.example.org", "other.net", "EXAMPLE.net", "bücher.example"]
    urls = [f"http://{random.choice(hosts)}/{random.choice('abc')}/{number % 40}.jpg" for number in range(400)]
    rows = [
        {
            "pair_id": f"{number:032x}",
            "image_url": url,
            "page_url": random.choice([None, *urls]),
            "alt_text": f"text {number % 50}",
            "image_hash": None,
        }
        for number, url in enumerate(urls)
    ]
    listed = {
        "pair": {f"{number:032x}" for number in random.sample(range(400), 20)},
        "url": {"example.org/a/3.jpg", "example.net/b/7.jpg", "xn--bcher-kva.example/c/1.jpg"},
        "prefix": {"a.example.org/a/", "other.net/b/"},
        "image_domain": {"b.a.example.org"},
        "page_domain": {"other.net"},
        "page": {"example.org/c/1.jpg", "example.org/b/2.jpg"},
        "text": {"text 3", "text 4"},
    }
    tables = {kind: table_of(*keys) for kind, keys in listed.items()}
    columns = {name: pa.array([row[name] for row in rows], pa.string()) for name in rows[0]}
    found = listed_reasons(columns, tables).to_pylist()
    assert found == [expected_reason(row, listed) for row in rows]
    assert set(found) == {None, *REASONS} - {"removed.image"}


def test_occurrences_of_listed_pages() -> None:
    batches = [
        pa.RecordBatch.from_pydict(
            {"pair_id": ["1", "2", "3"], "page_url": ["http://example.org/a", None, "http://b.net/"]}
        ),
        pa.RecordBatch.from_pydict({"pair_id": ["4"], "page_url": ["http://c.net/"]}),
        pa.RecordBatch.from_pydict({"pair_id": ["1"], "page_url": ["http://x.b.net/"]}),
    ]
    tables = {"page": table_of("example.org/a"), "page_domain": table_of("b.net"), "url": table_of("c.net/")}
    found = [batch.to_pydict() for batch in page_occurrences(iter(batches), tables)]
    assert found == [
        {"pair_id": ["1", "3"], "reason": ["removed.page", "removed.page_domain"]},
        {"pair_id": ["1"], "reason": ["removed.page_domain"]},
    ]
