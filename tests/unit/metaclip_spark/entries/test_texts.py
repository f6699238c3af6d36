"""Entries in Arrow's memory: what a tuple of them says, and how much text there may be."""

import mmap

import numpy as np
import pyarrow as pa
import pytest

from metaclip_spark.entries import EntryTexts, texts_of
from metaclip_spark.entries.texts import join_texts
from metaclip_spark.errors import MetadataError

ENTRIES = ("dog", "犬", "New York", "dog")


def test_they_are_what_the_tuple_is(monkeypatch):
    monkeypatch.setattr("metaclip_spark.entries.texts._DECODED_AT_ONCE", 3)
    texts = join_texts([pa.array(ENTRIES[:1]), pa.array(ENTRIES[1:])])
    assert (len(texts), list(texts), texts[1], texts[-1], texts[1:3]) == (4, [*ENTRIES], "犬", "dog", ENTRIES[1:3])
    assert texts == ENTRIES
    assert texts == EntryTexts(pa.array(ENTRIES))
    assert hash(texts) == hash(ENTRIES)
    assert texts not in (ENTRIES[:3], (*ENTRIES[:3], "cat"), EntryTexts(pa.array(ENTRIES[:3])), list(ENTRIES))
    assert (texts.index("犬"), texts.index("dog", 1), texts.index("dog", -1), "cat" in texts) == (1, 3, 3, False)
    for absent in ("cat", 5, None):
        with pytest.raises(ValueError, match="is not an entry"):
            texts.index(absent)
    with pytest.raises(ValueError, match="is not an entry"):
        texts.index("dog", 1, 3)
    assert repr(texts) == "EntryTexts(4 entries)"
    assert texts_of(texts) is texts.texts
    assert texts_of(ENTRIES).equals(texts.texts)


def test_more_text_than_offsets_reach_is_refused():
    size = 3 << 29
    # No page of it is ever touched.
    content, offsets = pa.py_buffer(mmap.mmap(-1, size)), pa.py_buffer(np.array([0, size], np.int32))
    part = pa.StringArray.from_buffers(1, offsets, content)
    for parts in ([part, part], [pa.chunked_array([part, part])]):
        with pytest.raises(MetadataError, match="the lists hold more than 2 GiB of text"):
            join_texts(parts)
