"""Runs the loops over archives, tags, links, pairs and thresholds as Python, over arrays that check every place."""

import json
from random import Random
from unittest.mock import patch

import numpy as np
import zstandard

from tests.support.checked_arrays import Checked, CheckedRows, checked
from tests.support.declarations import AGENTS, any_head
from tests.support.loop_inputs import any_record, archive_of, damaged
from tests.support.page_grammar import make_base, make_image, page_of
from udfs.archives.warc_kernel import SLACK_BYTES, Inflater
from udfs.balancing import expected_sizes_kernel
from udfs.exclusion import key_kernel
from udfs.matching import unit_kernel
from udfs.matching.token_kernel import PADDING
from udfs.pages import html_kernel, wat_kernel
from udfs.pages.declared.kernel import DECLARED_LENGTH, agent_list
from udfs.pages.image_table import TAG_COLUMNS
from udfs.pairs import kernel, loop, loop_kernel
from udfs.pairs.image_urls import plain_folder
from udfs.pairs.kernel import (
    BYTES_USED,
    PAGE_COLUMNS,
    PAGES_USED,
    PAIR_COLUMNS,
    ROWS_USED,
    STATE_LENGTH,
    STRIPPED_LENGTH,
    TEXT_BEGIN,
    URL_BYTES_USED,
    ColumnBuffers,
)

PIECES = [
    b"<img",
    b"<IMG",
    b"<base",
    b" src=",
    b" alt=",
    b" href=",
    b'"',
    b"'",
    b"a",
    b">",
    b"/>",
    b"/",
    b"<",
    b"</",
    b"<!--",
]
PIECES += [
    b"-->",
    b"!",
    b"<!",
    b"<?",
    b"<svg>",
    b"</svg>",
    b"<path/>",
    b"<title>",
    b"</title>",
    b"<script>",
    b"</script>",
]
PIECES += [
    b"<select>",
    b"<option>",
    b"</select>",
    b"<table>",
    b"<td>",
    b" ",
    b"\n",
    b"\0",
    b"\xe6\x9d",
    b"\xff",
    b"&amp;",
]
PIECES += [b"<plaintext", b"x" * 20, b"<![C", b"=", b"<textarea>", b"</textarea", b"y" * 60]


def check_pairs(random: Random) -> int:
    """Runs pages through columns that are too small, and gives the number of pairs."""
    page = page_of([make_image(random) for _ in range(random.randint(1, 6))], make_base(random))
    content, tags = page.content, page.rows
    base, root_end = plain_folder(page.base_url)
    data, rows = bytearray(random.choice([60, 100, 200, 400])), np.zeros((random.randint(1, 5), PAIR_COLUMNS), np.int64)
    state, refused, stripped = (np.zeros(length, np.int64) for length in (STATE_LENGTH, len(tags), STRIPPED_LENGTH))
    start, pairs = 0, 0
    while start < len(tags):
        arguments = CheckedRows(tags), start, Checked(bytes(base)), root_end, random.randrange(16), Checked(data)
        start = kernel.add_pairs(
            Checked(content), *arguments, CheckedRows(rows), Checked(state), Checked(refused), Checked(stripped)
        )
        used = int(state[ROWS_USED])
        assert all(data[place - 1] == 0 for place in rows[:used, TEXT_BEGIN].tolist())
        assert start == len(tags) or used
        pairs += used
        state[[BYTES_USED, ROWS_USED]] = 0
    return pairs


def check_tags(random: Random) -> None:
    html = b"".join(random.choice(PIECES) for _ in range(random.randrange(25)))
    if random.random() < 0.5:
        html = any_head(random).encode() + html
    images, base = np.zeros((3, TAG_COLUMNS), np.int64), np.zeros(TAG_COLUMNS, np.int64)
    declared = np.zeros(DECLARED_LENGTH, np.int64)
    agents = Checked(agent_list(random.choice([(), AGENTS])))
    html_kernel.find_tags(Checked(html), CheckedRows(images), Checked(base), Checked(declared), agents)


def check_links(random: Random) -> None:
    links = [
        {
            random.choice(["path", "url", "alt", "title", "text"]): random.choice(
                ["IMG@/src", 'a"b', "é", "", "x" * 30, 1]
            )
            for _ in range(random.randrange(4))
        }
        for _ in range(random.randrange(5))
    ]
    text = json.dumps(links, ensure_ascii=random.random() < 0.5, separators=random.choice([(",", ":"), (" , ", "\n:")]))
    wat_kernel._find_images(Checked(text.encode()), CheckedRows(np.zeros((3, TAG_COLUMNS), np.int64)))


def check_loop(random: Random) -> int:
    """Reads an archive through buffers that are too small, and gives the number of records that were read."""
    records = [any_record(random) for _ in range(12)]
    data = b"".join(archive_of(records)) if random.random() < 0.5 else damaged(random, archive_of(records))
    is_zstd = random.random() < 0.2
    magic, inflater = (b"\x28\xb5\x2f\xfd", Inflater(0, 0, 1)) if is_zstd else (b"\x1f\x8b\x08", Inflater(0, 0, 0))
    if is_zstd:
        frames = b"".join(map(zstandard.compress, records))
        data = frames[: random.choice([len(frames), random.randrange(len(frames))])]
    # A member may fit to the byte.
    largest = len(random.choice(records)) + SLACK_BYTES + random.choice([0, 1, 100])
    sizes = {"_LARGEST_MEMBER_BYTES": largest * random.choice([1, 2, 3]), "_MOST_IMAGES": random.choice([4, 9])}
    with patch.multiple(loop, _MOST_LEFT_RECORDS=3, **sizes):
        work = loop_kernel.Workspace(*map(checked, loop._new_workspace()))
    rows = random.choice([3, 30])
    buffers = ColumnBuffers(
        *map(
            checked,
            (
                np.zeros(random.choice([100, 3000]), np.uint8),
                np.zeros((rows, PAIR_COLUMNS), np.int64),
                np.zeros((rows, PAGE_COLUMNS), np.int64),
                np.zeros(random.choice([40, 90]), np.uint8),
                np.zeros(STATE_LENGTH, np.int64),
                np.zeros(STRIPPED_LENGTH, np.int64),
            ),
        )
    )
    source = loop_kernel.Input(Checked(np.frombuffer(data, np.uint8)), len(data), 0)
    sizes_of_records = random.choice([99, 10**6, 10**6]), 10**6
    agents = Checked(agent_list(random.choice([(), AGENTS])))
    limits = loop_kernel.Limits(random.randrange(16), *sizes_of_records, random.choice([2, 50]), agents)
    progress = work.progress.values
    while progress[loop_kernel.AT] < len(data):
        why = loop_kernel._read_members(inflater, source, limits, buffers, work)
        if why in {loop_kernel.NOT_A_PLAIN_MEMBER, loop_kernel.MORE_INPUT}:
            found = data.find(magic, int(progress[loop_kernel.AT]) + 1)
            progress[loop_kernel.AT] = found if found >= 0 else len(data)
        buffers.state.values[[BYTES_USED, ROWS_USED, PAGES_USED, URL_BYTES_USED]] = 0
        progress[[loop_kernel.LEFT_RECORDS, loop_kernel.LEFT_IMAGES, loop_kernel.PLAIN_USED]] = 0
    return int(progress[loop_kernel.RECORDS])


def check_plan(random: Random) -> None:
    """Sums over arrays that fit exactly; numpy checks that no place lies behind them."""
    counts = [[random.randint(0, 9) for _ in range(random.randrange(4))] for _ in range(random.randrange(6))]
    thresholds = np.arange(1.0, random.randint(2, 12))
    sums = np.zeros((3, thresholds.size + 1), np.int64)
    ends = np.cumsum([len(each) for each in counts], dtype=np.int64)
    flat = np.array([count for each in counts for count in each], np.float64)
    first = np.array([random.uniform(0.1, 1.0) for _ in counts] if random.random() < 0.5 else [])
    expected_sizes_kernel._add_sums(ends, first, flat, thresholds, 1.0, np.empty(thresholds.size), sums)
    certain = [sum(bool(each) and min(each) <= threshold for each in counts) for threshold in thresholds]
    assert np.cumsum(sums[expected_sizes_kernel.CERTAIN])[:-1].tolist() == certain


URL_PIECES = (
    b"http://",
    b"https://",
    b"a.org",
    b"A",
    b".",
    b"/",
    b":",
    b":80",
    b":8080",
    b"%",
    b"%2",
    b"%2F",
    b"%41",
    b"?",
    b"#",
    b" ",
)


def check_keys(random: Random) -> None:
    """Finds the plain keys among URLs that end where the array ends."""
    urls = [b"".join(random.choices(URL_PIECES, k=random.randrange(7))) for _ in range(random.randrange(5))]
    offsets = np.cumsum([0, *map(len, urls)], dtype=np.int64)
    found = [np.zeros(len(urls), np.int64) for _ in range(3)]
    key_kernel._find_plain_keys(
        Checked(np.frombuffer(b"".join(urls), np.uint8)), Checked(offsets), *map(Checked, found)
    )
    for url, begin, end in zip(urls, found[0].tolist(), found[1].tolist(), strict=True):
        start = offsets[urls.index(url)]
        assert end < 0 or begin == start + url.index(b"//") + 2 or urls.count(url) > 1


TEXT_PIECES = ["東", "の", "ก", "ា", "\u17d2", "a", "é", " ", ".", "\u0301", "\U00020000", "😀", "x" * 9]


def check_units(random: Random) -> int:
    """Cuts texts into units, some of them cut short or of random bytes, and gives the number of borders."""
    texts = ["".join(random.choices(TEXT_PIECES, k=random.randrange(12))).encode() for _ in range(random.randint(1, 4))]
    if is_broken := random.random() < 0.3:
        texts = [text[: random.randrange(len(text) + 1)] + random.randbytes(random.randrange(6)) for text in texts]
    offsets = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    data = np.frombuffer(b"".join(texts) + bytes(PADDING), np.uint8)
    # Not a byte more than the driver of the loop has room for, padding apart.
    cut, ends = np.zeros(2 * int(offsets[-1]), np.uint8), np.zeros_like(offsets)
    classes = map(Checked, unit_kernel.unit_classes())
    unit_kernel._cut_units(Checked(data), Checked(offsets), *classes, Checked(cut), Checked(ends))
    kept = cut[: ends[-1]]
    assert is_broken or bytes(kept[kept != 0xFF]) == b"".join(texts)
    return int(np.count_nonzero(kept == 0xFF))


generator = Random(0)
assert sum(check_pairs(generator) for _ in range(1500)) > 2000
assert sum(check_loop(generator) for _ in range(500)) > 800
for _ in range(1500):
    check_tags(generator)
    check_links(generator)
    check_plan(generator)
    check_keys(generator)
assert sum(check_units(generator) for _ in range(1500)) > 5000
print("checked")
