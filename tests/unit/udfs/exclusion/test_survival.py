"""The kinds of judged pairs and the largest groups of them, in the workers."""

from collections import Counter

import numpy as np
import pyarrow as pa

from udfs.exclusion.survival import DOMAIN, ENTRIES, LANGUAGE, SIZE, judged_kinds, largest_groups
from udfs.schemas import JUDGED


def has_even_entry(entry_ids):
    return np.array([any(entry % 2 == 0 for entry in ids or ()) for ids in entry_ids.to_pylist()])


def test_the_kinds_of_a_pair_are_null_where_they_are_not_told():
    batch = pa.record_batch(
        {
            "language": ["en", None, "de", "de"],
            "image_host": ["a.example.co.uk:80", "b.example.co.uk", None, "example.co.uk"],
            "entry_ids": pa.array([[1, 2], [3], None, []], pa.list_(pa.int32())),
            "reason": pa.array([None, None, "removed.url", "image.duplicate"], pa.string()),
        }
    )
    (told,) = judged_kinds([batch], has_even_entry)
    assert told.schema == JUDGED
    assert told.to_pydict() == {
        "language": ["en", None, "de", "de"],
        "domain": ["example.co.uk", "example.co.uk", None, "example.co.uk"],
        "is_certain": [1, 0, None, 0],
        "reason": [None, None, "removed.url", "image.duplicate"],
    }
    assert [each.num_rows for each in judged_kinds([batch.slice(0, 0), batch.slice(2)], has_even_entry)] == [0, 2]


GROUPS = [
    *((LANGUAGE, name, number) for name, number in (("en", 70), (None, 30), ("de", 30), ("fr", 1))),
    *((DOMAIN, f"d{number}.org", number) for number in (1, 9, 10, 99, 100, 10**17)),
    (DOMAIN, "e.org", 9),
    (DOMAIN, None, 5),
    *((ENTRIES, name, number) for name, number in (("0", 3), ("1", 4), (None, 5))),
]


def test_the_largest_groups_of_each_kind_and_sums_by_size_are_what_is_left_of_many():
    kinds, values, numbers = zip(*GROUPS, strict=True)
    table = pa.table({"kind": kinds, "value": values, "judged": numbers, "reason_0": [n // 3 for n in numbers]})
    listed = {LANGUAGE: 2, DOMAIN: 2, ENTRIES: 3}
    for size in (len(GROUPS), 4):
        found = [*largest_groups(table.to_batches(max_chunksize=size), listed)]
        assert {tuple(batch.schema) for batch in found} == {tuple(found[0].schema)}
        rows = [row for batch in found for row in batch.to_pylist()]
        for kind, number in listed.items():
            told = [(row["kind"], row["value"], row["judged"]) for row in rows if row["kind"] == kind]
            order = sorted(told, key=lambda row: (-row[2], row[1] is None, row[1] or ""))
            wanted = [row for row in GROUPS if row[0] == kind and row != (DOMAIN, None, 5)]
            wanted.sort(key=lambda row: (-row[2], row[1] is None, row[1] or ""))
            assert order[:number] == wanted[:number]
        sums, domains, reasons = Counter(), Counter(), Counter()
        for row in rows:
            if row["kind"] == SIZE:
                sums[row["value"]] += row["judged"]
                domains[row["value"]] += row["groups"]
                reasons[row["value"]] += row["reason_0"]
        assert sums == {"1": 19, "2": 109, "3": 100, "18": 10**17}
        assert domains == {"1": 3, "2": 2, "3": 1, "18": 1}
        assert reasons == {"1": 6, "2": 36, "3": 33, "18": 10**17 // 3}
