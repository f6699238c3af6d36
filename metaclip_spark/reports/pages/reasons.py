"""What each reason means by which a record, an image, a text or a pair leaves: for the pages and the documentation."""

REASONS = {
    "archive.not_an_archive": "the file is neither WARC, WAT nor ARC",
    "archive.error_page": "an error page of a server, instead of the archive",
    "archive.not_opened": "the file could not be opened",
    "archive.read_error": "the file could not be read to its end",
    "archive.reader_error": "the reader of archives failed",
    "archive.not_read_to_end": "reading stopped before the end",
    "archive.corrupt": "bytes that hold no record, or a compressed member that cannot be unpacked",
    "archive.zstd_dictionary": "the zstd dictionary at the file's start cannot be used",
    "archive.truncated": "the file ends within a record",
    "record.bad_content_length": "the record's length is missing or wrong",
    "record.bad_envelope": "a WAT record whose JSON lacks what it must have",
    "record.bad_http_header": "no HTTP header can be read",
    "record.bad_links": "a WAT record whose links are not a list",
    "record.bad_page_language": "the `page_language` of a row is not a string (files of `--pool`)",
    "record.bad_page_preferences": "the `page_preferences` of a row are not a sum of bits (files of `--pool`)",
    "record.invalid_json": "the JSON cannot be parsed",
    "record.line_too_long": "a line of a JSONL file is longer than the limit",
    "record.no_envelope": "a WAT record without an envelope",
    "record.no_target_uri": "the record names no page",
    "record.no_text_key": "a line of a JSONL file lacks the text",
    "record.no_url_key": "a line of a JSONL file lacks the URL",
    "record.not_an_object": "a line of a JSONL file holds no JSON object",
    "record.page_too_large": "above `--max-page-bytes`, 100,000 images, 402 MB as a tree, or a million values (WAT)",
    "record.parser_crash": "the HTML parser died on this page, also alone in a process of its own",
    "record.parser_error": "the HTML parser raised an error",
    "record.parser_timeout": "parsing took more processor time than `--page-timeout-seconds`",
    "record.truncated": "the record is cut off",
    "record.undecodable": "the page's compression or transfer encoding cannot be undone",
    "record.skipped_dns": "not a page: a DNS answer",
    "record.skipped_metadata": "not a page: a metadata record",
    "record.skipped_not_html": "not a page: another content type",
    "record.skipped_status": "not a page: the HTTP status is not 200",
    "record.skipped_unknown": "not a page: a record type that no standard names",
    "image.bad_link": "a WAT link that is null, or whose URL is not a string",
    "image.data_url": "the image is in the page itself (`data:`)",
    "image.no_host": "the URL has no host",
    "image.no_text": "neither alt nor title nor data-image-title",
    "image.no_url": "no `src`, or an empty one",
    "image.not_a_string": "the URL is not a string (files of `--pool`)",
    "image.not_http": "neither http nor https",
    "image.only_fragment": "the URL is only `#...`",
    "image.unparsable_url": "the URL cannot be parsed",
    "text.empty": "nothing is left after white space is stripped",
    "text.not_a_string": "the text is not a string",
    "text.purged": "removed, and purged since",
}
"""What each reason of `rejects/` means; a test compares them with those that the code names."""

STEP_REASONS = {
    "duplicate": "the same URL and text again",
    "no_entry": "no metadata entry in the text",
    "no_list": "no metadata list for the language of the text",
    "removed.pair": "its pair_id is on a list of `--block-pairs` or of a removal",
    "removed.url": "the image's URL is on a list of `--block-urls` or of a removal",
    "removed.prefix": "the image's URL begins as one of `--block-prefixes` or of a removal does",
    "removed.image_domain": "the image lies on a domain of `--block-domains` or of a removal",
    "removed.page_domain": "a page with the pair lies on a domain of `--block-page-domains` or of a removal",
    "removed.page": "a page with the pair is on a list of `--block-pages` or of a removal",
    "removed.text": "the text is on a list of `--block-texts` or of a removal",
    "removed.image": "the image's hash is on a list of `--block-images` or of a removal",
    "removed.since_balance": "removed since the set was balanced",
    "image.not_attempted": "no row of `--downloaded` is about the image",
    "image.download_failed": "no row of `--downloaded` says that the image was downloaded",
    "image.duplicate": "another pair has the same image (`--deduplicate-images`)",
    "preference.noai": "the page asks for no use by machine learning (noai)",
    "preference.noimageai": "the page asks for no use of its images by machine learning (noimageai)",
    "preference.noindex": "the page asks not to be indexed (noindex, none)",
    "preference.noimageindex": "the page asks for its images not to be indexed (noimageindex)",
    "preference.tdm-reservation": "the page reserves text and data mining (tdm-reservation: 1)",
    "preference.train-ai=n": "the page asks for no training of models (Content-Usage: train-ai=n)",
    "preference.unknown": "what the page asks for was not read",
    "language_gate": "removed by the language filter",
    "not_drawn": "thinned out by balancing",
}
"""The reasons by which pairs leave after extraction."""

_SKIPPED = "record.skipped_"
FILTER = "filter."
"""How the reasons of conditions on scores begin."""


def meaning_of(reason: str) -> str:
    """Says what a reason means, without the marks of Markdown; empty for one that this version does not know."""
    found = {**REASONS, **STEP_REASONS}.get(reason, "").replace("`", "")
    if not found and reason.startswith(FILTER):
        return f"the scores do not fulfil the condition {reason.removeprefix(FILTER)} of --keep-where"
    if not found and reason.startswith(_SKIPPED):
        return f"not a page: a record of the type {reason.removeprefix(_SKIPPED)}"
    return found
