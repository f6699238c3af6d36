"""Arrow arrays made from buffers equal those that pyarrow makes, and no worker imports pandas for them."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from udfs.arrow_numbers import arrow_numbers

NUMBERS = arrays.arrays(st.sampled_from([np.int32, np.int64, np.uint8]), st.integers(0, 70))

MATCH = """
import sys
import pyarrow as pa
from udfs.automaton import TokenAutomaton, build_token_tables
automaton = TokenAutomaton(build_token_tables(["photo"], "digest"))
texts = pa.ipc.open_stream(sys.stdin.buffer).read_next_batch().column(0)
print(automaton.match(texts).to_pylist(), "pandas" in sys.modules)
"""


@given(NUMBERS)
def test_numbers(numbers):
    made = arrow_numbers(numbers)
    made.validate(full=True)
    assert made.to_pylist() == numbers.tolist()
    assert made.type == pa.from_numpy_dtype(numbers.dtype)


def test_matching_imports_no_pandas():
    sink = pa.BufferOutputStream()
    batch = pa.record_batch({"alt_text": ["a photo", "none"]})
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    stream = sink.getvalue().to_pybytes()
    told = subprocess.run([sys.executable, "-c", MATCH], input=stream, capture_output=True, check=True).stdout
    assert told.decode().split("\n")[0] == "[[0], []] False"
