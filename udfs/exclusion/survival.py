"""What rules have left, in the workers: the kinds of judged pairs, and the largest groups of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from udfs.arrow import arrow_numbers, numpy_numbers
from udfs.exclusion.registrable_domain import registrable_domain
from udfs.schemas import JUDGED

LANGUAGE, DOMAIN, ENTRIES, SIZE = "language", "domain", "entries", "size"
"""What groups of pairs have in common; `SIZE` stands for domains whose numbers of pairs have equally many digits."""

_TEXTS = ("kind", "value")
_REMEMBERED_HOSTS = 1 << 16
_SIZES = 10 ** np.arange(1, 19, dtype=np.int64)

_domain = lru_cache(_REMEMBERED_HOSTS)(registrable_domain)


def judged_kinds(
    batches: Iterable[pa.RecordBatch], are_certain: Callable[[pa.Array], npt.NDArray[np.bool_]]
) -> Iterator[pa.RecordBatch]:
    """Finds the kinds of pairs that rules have judged.

    Args:
        batches: Batches with columns `language`, `image_host`, `entry_ids` and `reason`.
        are_certain: Tells of lists of entry ids whether balancing keeps the pair for certain.

    Yields:
        Batches of schema `JUDGED`.
    """
    for batch in batches:
        hosts, entry_ids = batch.column("image_host").dictionary_encode(), batch.column("entry_ids")
        domains = pa.array([_domain(host) for host in hosts.dictionary.to_pylist()], pa.string())
        is_told = numpy_numbers(entry_ids.is_valid().cast(pa.int8())).astype(np.bool_)
        certain = arrow_numbers(are_certain(entry_ids).astype(np.int8), valid=is_told)
        columns = [batch.column("language"), domains.take(hosts.indices), certain, batch.column("reason")]
        yield pa.RecordBatch.from_arrays(columns, schema=JUDGED)


def largest_groups(batches: Iterable[pa.RecordBatch], listed: Mapping[str, int]) -> Iterator[pa.RecordBatch]:
    """Finds the largest groups of each batch, and adds its domains up by size, so that few rows reach the driver.

    Args:
        batches: Batches of groups: columns `kind` (one of `LANGUAGE`, `DOMAIN` and `ENTRIES`) and `value`, and numbers,
            the first of which is that of the group's pairs.
        listed: Kind to how many groups are wanted of it.

    Yields:
        The same columns, and `groups`: 1, or of rows of the kind `SIZE`, whose value is a number of digits, how many
        domains were added up. Domains that are not told are left out.
    """
    for batch in batches:
        names = [*batch.schema.names, "groups"]
        schema = pa.schema([(name, pa.string() if name in _TEXTS else pa.int64()) for name in names])
        groups = pa.Table.from_batches([batch]).append_column(
            "groups", arrow_numbers(np.ones(batch.num_rows, np.int64))
        )
        groups = groups.filter(pc.or_(pc.not_equal(groups["kind"], DOMAIN), groups["value"].is_valid()))
        order = [(names[2], "descending"), ("value", "ascending")]
        largest = [
            groups.filter(pc.equal(groups["kind"], kind)).sort_by(order).slice(0, number)
            for kind, number in listed.items()
        ]
        domains = groups.filter(pc.equal(groups["kind"], DOMAIN))
        for table in (*largest, _by_size(domains)):
            yield from table.cast(schema).combine_chunks().to_batches()


def _by_size(domains: pa.Table) -> pa.Table:
    """Adds the numbers of domains up by the digits of the first one."""
    numbers = [numpy_numbers(column.combine_chunks()) for column in domains.columns[2:]]
    digits, places = np.unique(np.searchsorted(_SIZES, numbers[0], side="right") + 1, return_inverse=True)
    sums = np.zeros((len(numbers), digits.size), np.int64)
    for row, each in zip(sums, numbers, strict=True):
        np.add.at(row, places, each)
    texts = [pa.array([SIZE] * digits.size, pa.string()), pa.array([str(each) for each in digits], pa.string())]
    return pa.table([*texts, *map(arrow_numbers, sums)], names=domains.column_names)
