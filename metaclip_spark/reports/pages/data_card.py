"""The data card: a dataset card in the usual form, filled from the run's numbers, to publish the curated set with."""

import unicodedata

import msgspec
import pyarrow as pa
from jinja2 import Environment, PackageLoader, StrictUndefined

from metaclip_spark.errors import counted, percent
from metaclip_spark.reports.figures.funnel import judged_by_rules
from metaclip_spark.reports.pages.html import INVISIBLE, time_text
from metaclip_spark.reports.pages.reasons import FILTER
from metaclip_spark.reports.records import Report
from metaclip_spark.runs.records import RemovalNumbers
from udfs.preferences import PREFERENCES
from udfs.schemas import CURATED

COLUMNS = {
    "pair_id": "md5 of URL, NUL and text, in hex",
    "image_url": "URL of the image",
    "alt_text": "the alternative text, as the page has it (line breaks are spaces)",
    "source": "attribute that held the text: alt, title or data-image-title",
    "page_url": "URL of the page; null for pairs that were given as files",
    "archive": "archive or file that the pair was found in",
    "record_offset": "byte offset of the page's record in the archive, or row number",
    "image_index": "place of the image in the page",
    "page_language": "language that the page declares; null where it declares none or was not read",
    "page_preferences": "sum of what pages with the pair declare about its use: 1 noai, 2 noimageai, 4 noindex, "
    "8 noimageindex, 16 tdm-reservation, 32 train-ai=n; null where they were not read",
    "language": "language of the text: by fastText lid.176, or by what the settings of match name; null where it is "
    "not known",
    "language_probability": "probability of that language",
    "metadata_language": "the metadata list that the entries are of, by its language; null where there is one list",
    "entry_ids": "ids of the metadata entries that occur in the text",
    "keep_probability": "chance that the pair had of being kept",
}
_LONGEST_SHOWN = 253
"""Characters of the longest name that a domain can have."""

_NOT_DOWNLOADED = ("image.not_attempted", "image.download_failed")
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
_LARGER_SIZES = ((10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B"), (10**11, "10B<n<100B"))


def render_data_card(report: Report) -> str:
    """Renders the data card: Markdown with a YAML head."""
    environment = Environment(  # noqa: S701 - Markdown of numbers and options; the names of archives in warnings are escaped
        loader=PackageLoader("metaclip_spark.reports", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"counted": counted, "percent": percent, "code": code_span}
    columns = [(field.name, type_name(field.type), COLUMNS[field.name]) for field in CURATED]
    return environment.get_template("DATA_CARD.md.j2").render(
        report=msgspec.to_builtins(report),
        columns=columns,
        size=size_category(report.real_size),
        settings=[
            (step, name, value)
            for step, settings in report.settings.items()
            for name, value in settings.items()
            if value is not None and value is not False and value not in ([], "")
        ],
        respected=", ".join(respected_preferences(report)),
        judged=judged_by_rules(report.funnel),
        removals=all_removals(report),
        filters=filters_of(report),
        languages=report.settings["sample"]["languages"],
        made=[
            ("finished", time_text(report.ended).replace("\u00a0", " ") if report.ended else ""),
            ("output", report.output),
            *(("command", command.command) for command in report.commands),
        ],
    )


def respected_preferences(report: Report) -> list[str]:
    """Lists the preferences because of which pairs with them are left out, here or before, in the order of the bits."""
    respected = report.settings.get("exclude", {}).get("respect_preferences") or ()
    before = report.before.preferences if report.before else ()
    return [name for name in PREFERENCES if name in {*respected, *before}]


def filters_of(report: Report) -> list[str]:
    """Lists what may have left out pairs by safety, personal data, image size or licence, here or before."""
    reasons, options = judged_by_rules(report.funnel).all_reasons, report.settings.get("exclude", {})
    conditions = [condition.partition(":")[0].strip() for condition in options.get("keep_where") or ()]
    conditions += [reason.removeprefix(FILTER) for reason in reasons if reason.startswith(FILTER)]
    is_downloaded = options.get("downloaded") or not reasons.keys().isdisjoint(_NOT_DOWNLOADED)
    told = {
        "block lists and removals": any(reason.startswith("removed.") for reason in reasons),
        f"conditions on scores ({', '.join(dict.fromkeys(conditions))})": conditions,
        "the download, as its options said": is_downloaded,
    }
    return [what for what, is_so in told.items() if is_so]


def all_removals(report: Report) -> RemovalNumbers:
    """Adds up what was removed from the run, and from those that it began with."""
    before = report.before
    return RemovalNumbers(
        removals=len(report.removals) + (before.removals if before else 0),
        values=sum(each.values for each in report.removals) + (before.values if before else 0),
        curated=sum(each.curated for each in report.removals) + (before.curated if before else 0),
    )


def code_span(text: object) -> str:
    """Shows a stranger's text in a code span of a Markdown table; what would act on a reader stands as its code."""
    shown = "".join(
        f"[U+{ord(character):04X}]" if character in "`|" or unicodedata.category(character) in INVISIBLE else character
        for character in str(text)[:_LONGEST_SHOWN]
    )
    return f"`{shown}`"


def type_name(kind: pa.DataType) -> str:
    """Names a type as Hugging Face's datasets does, such as int64 or list<int32>."""
    if pa.types.is_list(kind):
        return f"list<{type_name(kind.value_type)}>"
    return {"double": "float64", "float": "float32"}.get(str(kind), str(kind))


def size_category(pairs: int) -> str:
    """Gives the size class that dataset cards use, such as 1K<n<10K."""
    return next((name for limit, name in (*_SIZES, *_LARGER_SIZES) if pairs < limit), "100B<n<1T")
