"""The Arrow schemas of every table: the only place where a column is named and typed.

`mapInArrow` takes columns by position, so batches are always built with one of these schemas.
"""

import pyarrow as pa

ARCHIVE_PATHS = pa.schema([("archive", pa.string()), ("path", pa.string())])
"""What extraction reads: the name that results carry (independent of where the files lie), and where the file lies."""

PAIRS = pa.schema(
    [
        ("pair_id", pa.string()),
        ("image_url", pa.string()),
        ("alt_text", pa.string()),
        ("source", pa.string()),
        ("page_url", pa.string()),
        ("archive", pa.string()),
        ("record_offset", pa.int64()),
        ("image_index", pa.int32()),
        ("page_language", pa.string()),
        ("page_preferences", pa.int32()),
    ]
)
"""Raw pairs and the pool. `source` is one of `SOURCES`; `page_url` is null for pairs that come from `--pool`.

`page_language` is the code of the language that the page declares, null where it declares none, or the label in the
column of --language-column. `page_preferences` has a bit for each of `udfs.preferences.PREFERENCES` that the page
declares; of duplicates the pool has the bits of all.
"""

OPTIONAL_COLUMNS = ("page_language", "page_preferences")
"""Columns that are null where they were not read: tables of earlier versions lack them, and a user's pool may."""

LATER_COLUMNS = (*OPTIONAL_COLUMNS, "metadata_language")
"""Columns that tables of earlier versions lack; they are null there."""

SOURCES = ("alt", "title", "data-image-title")
"""Where an alternative text was found, in the order in which duplicates prefer them (smallest first)."""

ARCHIVES = pa.schema(
    [
        ("archive", pa.string()),
        ("status", pa.string()),
        ("size", pa.int64()),
        ("etag", pa.string()),
        ("bytes_read", pa.int64()),
        ("records", pa.int64()),
        ("pages", pa.int64()),
        ("images", pa.int64()),
        ("images_kept", pa.int64()),
        ("texts", pa.int64()),
        ("pairs", pa.int64()),
        ("rejected", pa.map_(pa.string(), pa.int64())),
    ]
)
"""One row per archive. These sums hold in every row:

- records = pages + the `record.*` reasons,
- images = images_kept + the `image.*` reasons,
- texts = pairs + the `text.*` reasons.
"""

REJECTS = pa.schema(
    [
        ("archive", pa.string()),
        ("record_offset", pa.int64()),
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("example", pa.string()),
    ]
)
"""One row per bad file or record, and the first few of images and texts per (archive, reason)."""

KINDS = ("pair", "archive", "reject")

EXTRACTED = pa.schema(
    [("kind", pa.string()), *PAIRS]
    + [field for field in ARCHIVES if field.name not in PAIRS.names]
    + [field for field in REJECTS if field.name not in PAIRS.names]
    + [("reference_records", pa.map_(pa.string(), pa.int64()))]
)
"""The one row type that extraction yields: `kind` says which of `KINDS` a row is; the other kinds' columns are null.

An archive's `reference_records` are those that the reference reader has read, by reason. They are in no other table:
they depend on the machine, the result does not.
"""

MATCHED = pa.schema(
    [
        *PAIRS,
        ("language", pa.string()),
        ("language_probability", pa.float32()),
        ("metadata_language", pa.string()),
        ("entry_ids", pa.list_(pa.int32())),
    ]
)
"""Pairs of the pool with at least one matched entry. `entry_ids` are sorted and distinct. `metadata_language` is the
code of the list that they are of, null where there is one list for all languages."""

LIST_MATCHES = pa.schema([*MATCHED, ("texts", pa.int64())])
"""What matching against several lists yields: matched pairs, and for each partition and list one row that has nothing
but `metadata_language`, null for no list, and `texts`: how many texts were matched against it."""

ELIGIBLE = pa.schema([*MATCHED, ("first_keep_probability", pa.float64())])
"""Matched pairs that no rule excludes. `first_keep_probability` is the keep probability of the draw that chose what was
downloaded, null where every pair was attempted."""

EXCLUDED = pa.schema(
    [
        ("pair_id", pa.string()),
        ("reason", pa.string()),
        ("page_language", pa.string()),
        ("metadata_language", pa.string()),
        ("image_host", pa.string()),
        ("entry_ids", pa.list_(pa.int32())),
    ]
)
"""Matched pairs that a rule excludes, with the first reason that holds, and what tells which kinds of pairs they were.

Of pairs that a list or a removal names, `image_host` and `entry_ids` are null: what was removed may be read nowhere.
"""

JUDGED = pa.schema(
    [("language", pa.string()), ("domain", pa.string()), ("is_certain", pa.int8()), ("reason", pa.string())]
)
"""The kinds of a pair that rules have judged: its language, the registrable domain of its image, and whether balancing
keeps it for certain; the last two are null where they are not told. `reason` is null where no rule excludes it."""

REMOVALS = pa.schema([("kind", pa.string()), ("value_sha256", pa.string()), ("value", pa.string())])
"""What is to be removed: its kind, the SHA-256 of its key in hexadecimal digits, and the key itself where the operator
wants it to be legible, else null."""

REMOVED_PAIRS = pa.schema([("pair_id", pa.string()), ("reason", pa.string()), ("is_curated", pa.bool_())])
"""The matched pairs that a removal names, and whether they were curated then."""

FILE_PARTS = pa.schema(
    [
        ("path", pa.string()),
        ("first_row_group", pa.int32()),
        ("row_groups", pa.int32()),
        ("columns", pa.list_(pa.string())),
    ]
)
"""Parts of Parquet files that a user names. `columns` are the file's names of the columns that are wanted, in their
order; an empty one stands for a column of nulls."""

DOWNLOADS = pa.schema(
    [
        ("pair_id", pa.string()),
        ("image_url", pa.string()),
        ("status", pa.string()),
        ("error_message", pa.string()),
        ("image_hash", pa.string()),
    ]
)
"""What became of images that were asked for, in img2dataset's words: those with the status `success` were downloaded.
`pair_id` or `image_url` says whose image it is."""

URL_DIGEST = "url_digest"
"""A column that joins add: the digest of the key of a row's `image_url`."""

ENTRY_COUNTS = pa.schema([("entry_id", pa.int32()), ("entry_text", pa.string()), ("entry_count", pa.int64())])
"""One row per metadata entry, zero counts too."""

ESTIMATED_COUNTS = pa.schema([*ENTRY_COUNTS, ("entry_count_error", pa.float64()), ("first_entry_count", pa.int64())])
"""Entry counts of a pool of which only a drawn part was attempted: estimates with their standard errors, and the counts
that the first draw balanced with."""

PARTIAL_COUNTS = pa.schema([("block", pa.int32()), ("counts", pa.binary())])
"""A worker's partial counts: little-endian int64 counts of the entry ids in one block."""

CURATED = pa.schema([*MATCHED, ("keep_probability", pa.float64())])
"""Kept pairs, with the probability that each had of being kept."""

CURATED_IMAGES = pa.schema(
    [
        ("image_url", pa.string()),
        ("texts", pa.list_(pa.string())),
        ("pair_ids", pa.list_(pa.string())),
        ("keep_probabilities", pa.list_(pa.float64())),
    ]
)
"""The curated pairs by image: one row per image_url, with its pairs in the order of pair_id."""

DRAWN = pa.schema([*CURATED, ("draw", pa.float64())])
"""Matched pairs with their keep probability and draw: those whose draw is below it are kept."""

THRESHOLD_SUMS = pa.schema(
    [("threshold_t", pa.int64()), ("pairs", pa.int64()), ("expected", pa.int64()), ("variance", pa.int64())]
)
"""Parts of the expected size at one of several thresholds: pairs, and sums of q and q(1 - q) over the keep
probabilities q, in units of 2^-32."""

LIST_SUMS = pa.schema([("list", pa.int32()), *THRESHOLD_SUMS])
"""The same of one of several metadata lists, which `list` names by its place."""

THRESHOLDS = pa.schema(
    [
        ("metadata_language", pa.string()),
        ("threshold_t", pa.int64()),
        ("tail_share", pa.float64()),
        ("matches", pa.int64()),
        ("pairs", pa.int64()),
        ("expected_size", pa.float64()),
        ("standard_error", pa.float64()),
        ("kept", pa.int64()),
        ("entries", pa.int64()),
        ("entries_matched", pa.int64()),
        ("floor_applied", pa.bool_()),
    ]
)
"""One row per metadata list, where there are several: its t (null for infinity, which no count reaches), the share of
matches below it, its pairs before the draw, and what is kept of them."""

EXPECTED_KEPT = pa.schema([("entry_id", pa.int32()), ("expected_kept", pa.float64())])
"""One row per metadata entry: how many of its pairs the draw is expected to keep, exact to 2^-20 per pair."""

ENTRY_FIGURES = pa.schema(
    [
        *ENTRY_COUNTS,
        ("entry_probability", pa.float64()),
        ("expected_kept", pa.float64()),
        ("kept", pa.int64()),
    ]
)
"""One row per metadata entry: its pairs before the draw, what is expected of them after it, and what was kept."""

ESTIMATED_FIGURES = pa.schema([*ENTRY_FIGURES, *(field for field in ESTIMATED_COUNTS if field not in ENTRY_COUNTS)])
"""The same where the pairs before the draw are estimates."""

DOMAINS = pa.schema([("domain", pa.string()), ("side", pa.string()), ("matched", pa.int64()), ("curated", pa.int64())])
"""One row per registrable domain and side: pairs whose image (`image`), or whose page (`page`), is of the domain."""

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
- `title`: a title and its views; `next_word` is null, or the wiki where those of all are counted,
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
