"""The registers of removals, which a folder's log names: what is to be removed for ever, by hash."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metaclip_spark.commits.entries import NAMED_PAIRS, REGISTER, Removal, Written
from metaclip_spark.commits.files import read_rows
from metaclip_spark.commits.state import State
from metaclip_spark.stores.storage import Storage
from udfs.arrow import string_bytes
from udfs.exclusion.digest_table import DIGEST_BYTES, DigestTable, content_digest, make_table
from udfs.exclusion.kinds import KINDS
from udfs.exclusion.url_key import keys_of
from udfs.schemas import REMOVALS


@dataclass(frozen=True)
class Register:
    """One removal.

    Attributes:
        number: The number of its entry in the log.
        removal: The entry.
        rows: What is listed: columns of `udfs.schemas.REMOVALS`.
    """

    number: int
    removal: Removal
    rows: pa.Table


def read_registers(storage: Storage, state: State) -> list[Register]:
    """Reads all removals of a folder, in the order of its log.

    Raises:
        InputError: If a file of theirs is gone.
    """
    return [
        Register(number, removal, read_rows(storage, removal.tables.get(REGISTER), REMOVALS))
        for number, removal in sorted(state.removals.items())
    ]


def named_folders(removals: Iterable[Removal]) -> list[Written | None]:
    """Gives where the pairs stand that removals name: None for one that has looked at no pairs."""
    return [removal.tables.get(NAMED_PAIRS) for removal in removals]


def removed_tables(registers: Sequence[Register]) -> dict[str, DigestTable]:
    """Gives what removals list, by kind in the order of `KINDS`."""
    # An empty table would import pandas.
    return tables_of_rows(pa.concat_tables([register.rows for register in registers])) if registers else {}


def tables_of_rows(rows: pa.Table) -> dict[str, DigestTable]:
    """Gives what rows of `udfs.schemas.REMOVALS` list, by kind in the order of `KINDS`."""
    tables = {}
    for kind in KINDS:
        hashes = rows.filter(pc.equal(rows["kind"], kind))["value_sha256"].combine_chunks()
        if len(hashes):
            digits, offsets = string_bytes(hashes)
            whole = np.frombuffer(bytes.fromhex(bytes(digits[offsets[0] : offsets[-1]]).decode()), np.uint8)
            tables[kind] = make_table(whole.reshape(len(hashes), -1)[:, :DIGEST_BYTES].tobytes())
    return tables


def removals_digest(registers: Sequence[Register]) -> str | None:
    """Digests what removals list, whatever order they came in; None where nothing was removed."""
    tables = removed_tables(registers)
    return content_digest(tables) if tables else None


def removals_naming(registers: Sequence[Register], values: Mapping[str, str]) -> list[tuple[Register, str]]:
    """Finds the removals that name what a user asks about, each with the first kind under which it does.

    Args:
        registers: The removals.
        values: Kind of `KINDS` to what the pair would have in that kind's column.
    """
    hashes = {
        kind: pa.array([sha256(key.encode()).hexdigest() for key in keys_of(kind, values[kind])], pa.string())
        for kind in KINDS
        if kind in values
    }
    found = []
    for register in registers:
        of_kind = {kind: register.rows.filter(pc.equal(register.rows["kind"], kind)) for kind in hashes}
        kinds = [kind for kind, keys in hashes.items() if pc.any(pc.is_in(of_kind[kind]["value_sha256"], keys)).as_py()]
        found += [(register, kind) for kind in kinds[:1]]
    return found
