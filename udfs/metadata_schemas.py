"""The Arrow schemas of building metadata: what workers are given, and the one row type in which they count."""

import pyarrow as pa

DUMP_PARTS = pa.schema(
    [("dump", pa.string()), ("path", pa.string()), ("start", pa.int64()), ("end", pa.int64()), ("pages", pa.int64())]
)
"""A byte range of an article dump. `end` is null for the rest of the file, `pages` where no index tells them."""

VIEW_FILES = pa.schema([("file", pa.string()), ("path", pa.string()), ("form", pa.string())])
"""A dump of page views; `form` is one of `udfs.wikipedia.page_views.FORMS`."""

COUNT_FILES = pa.schema([("file", pa.string()), ("path", pa.string()), ("kind", pa.string())])
"""A ready count file in text form; `kind` is what it counts, one of `COUNTED`."""

COUNTED = ("unigram", "bigram", "title")

WORD_COUNTS = pa.schema(
    [("kind", pa.string()), ("word", pa.string()), ("next_word", pa.string()), ("count", pa.int64())]
)
"""Partial counts, to be summed over (kind, word, next_word):

- `unigram`: a token; `next_word` is null,
- `bigram`: two tokens in a row,
- `title`: a title and its views; `next_word` is null,
- `tally`: `word` is what was seen or why something was left out, `next_word` the file,
- `reject`: `word` is the reason, `next_word` the file and what in it; the first few of each.
"""

ENTRIES = pa.schema(
    [
        ("entry_id", pa.int32()),
        ("entry_text", pa.string()),
        ("source", pa.string()),
        ("strength", pa.float64()),
    ]
)
"""The built list. `source` is the first that gave the entry; `strength` its count, PMI in bits or views, else null."""
