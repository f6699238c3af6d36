"""Arrow arrays made from buffers equal those that pyarrow makes, and no worker imports pandas for them."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from udfs.arrow import arrow_contents, arrow_numbers, numpy_numbers
from udfs.schemas import MATCHED

NUMBERS = arrays.arrays(st.sampled_from([np.int32, np.int64, np.uint8]), st.integers(0, 70))

MATCH = """
import sys
import pyarrow as pa
from udfs.matching.token_automaton import TokenAutomaton, build_token_tables
automaton = TokenAutomaton(build_token_tables(["photo"], "digest"))
texts = pa.ipc.open_stream(sys.stdin.buffer).read_next_batch().column(0)
print(automaton.match(texts).to_pylist(), "pandas" in sys.modules)
"""

STEPS = """
import sys
import numpy as np
import pyarrow as pa
from udfs.balancing.count import partial_counts
from udfs.balancing.entry_blocks import add_counts, block_and_counts
from udfs.balancing.expected_sizes import expected_sizes_batches
from udfs.balancing.sample import sample_batches
from udfs.balancing.expected_kept import partial_expectations
batch = pa.ipc.open_stream(sys.stdin.buffer).read_next_batch()
ones = np.ones(1)
counted = partial_counts(iter([batch]), number_of_entries=1)
expected = partial_expectations(iter([batch]), entry_probability=ones)
add_counts(*(block_and_counts((0, bytes(8)))[1] for _ in range(2)))
planned = expected_sizes_batches(iter([batch]), counts=np.ones(1, np.int64), thresholds=[1])
kept = sample_batches(iter([batch]), entry_probability=ones, seed=0)
print(*(next(batches).num_rows for batches in (counted, expected, planned, kept)), "pandas" in sys.modules)
"""


@given(NUMBERS)
def test_numbers(numbers):
    made = arrow_numbers(numbers)
    made.validate(full=True)
    assert made.to_pylist() == numbers.tolist()
    assert made.type == pa.from_numpy_dtype(numbers.dtype)


@given(NUMBERS, st.integers(0, 70))
def test_numbers_of_a_slice(numbers, start):
    assert numpy_numbers(pa.array(numbers)[start:]).tolist() == numbers[start:].tolist()


def test_null_numbers_are_refused():
    with pytest.raises(ValueError, match="1 of 3 numbers are null"):
        numpy_numbers(pa.array([1, None, 3]))


@given(NUMBERS, st.data())
def test_numbers_with_nulls(numbers, data):
    valid = data.draw(arrays.arrays(np.bool_, numbers.size))
    made = arrow_numbers(numbers, valid)
    made.validate(full=True)
    expected = [number if is_valid else None for number, is_valid in zip(numbers.tolist(), valid, strict=True)]
    assert made.to_pylist() == expected
    assert made.null_count == (~valid).sum()


@given(st.lists(arrays.arrays(np.int64, st.integers(0, 5)), max_size=9))
def test_contents(numbers):
    made = arrow_contents(numbers)
    made.validate(full=True)
    assert made.to_pylist() == [each.tobytes() for each in numbers]


def told_by_worker(script, batch):
    """What a fresh process prints of a batch that it did not make itself."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    stream = sink.getvalue().to_pybytes()
    return subprocess.run([sys.executable, "-c", script], input=stream, capture_output=True, check=True).stdout.decode()


def test_matching_imports_no_pandas():
    told = told_by_worker(MATCH, pa.record_batch({"alt_text": ["a photo", "none"]}))
    assert told.split("\n")[0] == "[[0], []] False"


def test_counting_and_sampling_import_no_pandas():
    row = {field.name: None for field in MATCHED} | {"pair_id": "0" * 32, "entry_ids": [0]}
    told = told_by_worker(STEPS, pa.RecordBatch.from_pylist([row], schema=MATCHED))
    assert told == "1 2 1 1 False\n"
