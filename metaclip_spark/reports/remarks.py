"""What a report remarks on a run: warnings, and where it deviates from the paper."""

from msgspec import UNSET, UnsetType

from metaclip_spark.config.curation import PRESETS
from metaclip_spark.errors import counted
from metaclip_spark.reports.figures.rules import why_none_eligible
from metaclip_spark.runs.records import (
    ExcludeManifest,
    ExtractManifest,
    ExtractNumbers,
    FirstDraw,
    NamedArchives,
    SampleManifest,
    SampleNumbers,
    threshold_in_words,
)
from metaclip_spark.runs.waves import UNKNOWN_RECORDS


def warnings_of(extract: ExtractNumbers, excluded: ExcludeManifest | None, sample: SampleNumbers) -> list[str]:
    """Says what whoever uses the run should look at first: where it is empty, why."""
    warnings = [] if sample.pairs else [_why_empty(extract, excluded, sample)]
    if sample.pairs_in > sample.gated_out and not sample.head_entries_cut:
        warnings.append("No entry has more than t pairs, so nothing is thinned.")
    warnings += _archive_warnings(extract)
    if isinstance(sample.capped, int) and sample.capped:
        enough = sample.threshold_without_caps
        threshold = threshold_in_words(sample.threshold_t, sample.threshold_of)
        told = f"{threshold} asks for pairs that were never downloaded ({sample.capped:,} capped)"
        if isinstance(enough, int):
            told += f": sample the first run again with t >= {enough:,}, and download what is new"
        warnings.append(told)
    if _misses_duplicates(excluded):
        warnings.append(
            "--deduplicate-images finds duplicates among the attempted pairs alone: a pair whose equal was not "
            "attempted stays and counts, so that entries with such pairs are estimated too high, and thinned too much"
        )
    if sample.suspect:
        warnings.append(
            f"the curated set has {counted(sample.pairs, 'pair')} where {sample.expected_size:,.1f} are expected, "
            f"further off than chance allows ({sample.size_bound:,.1f})"
        )
    return warnings


def _misses_duplicates(excluded: ExcludeManifest | None) -> bool:
    """Tells whether pairs were not attempted whose image an attempted pair may have, too."""
    if excluded is None or excluded.config.deduplicate_images is UNSET:
        return False
    return any(draw.threshold_t != "inf" for draw in excluded.config.draws_before)


def _why_empty(extract: ExtractNumbers, excluded: ExcludeManifest | None, sample: SampleNumbers) -> str:
    if not extract.pairs:
        return "No pair was extracted. See rejects/, and what --archives or --pool names."
    if why := why_none_eligible(excluded):
        return f"No pair is eligible: {why}."
    if not sample.pairs_in:
        return "No pair matched any metadata entry. Check that the list fits the texts."
    if sample.pairs_in == sample.gated_out:
        return "No pair passed the language filter. See the languages in matched/."
    if sample.dropped:
        return f"All pairs that balancing had kept were removed since ({sample.dropped:,})."
    return "Balancing has kept no pair."


def first_run_in_words(excluded: ExcludeManifest | None) -> str:
    """Says which run's pairs a run began with, and how they were drawn there; empty where they are its own."""
    first = None if excluded is None else excluded.config.first_draw
    if excluded is None or not isinstance(first, FirstDraw):
        return ""
    name = excluded.settings.get("from_run", "another run")
    return f"{name}, drawn there with {threshold_in_words(first.threshold_t)}" if excluded.config.is_estimated else name


def _archive_warnings(extract: ExtractNumbers) -> list[str]:
    warnings = []
    if extract.archives_empty:
        warnings.append(f"{_archives(extract.archives_empty, 'has', 'have')} 0 bytes")
    if extract.archives_damaged:
        warnings.append(f"{_archives(extract.archives_damaged, 'is', 'are')} damaged; complete records are kept")
    if extract.archives_failed:
        warnings.append(f"{counted(extract.archives_failed, 'archive')} could not be read; --resume tries again")
    if without_pages := _some(extract.without_pages):
        warnings.append(
            f"{_archives(without_pages.archives, 'holds', 'hold')} responses but no page, see `rejected` in archives/: "
            f"{_names(without_pages)}"
        )
    if unknown := _some(extract.with_unknown_records):
        number = extract.rejected.get(UNKNOWN_RECORDS, 0)
        warnings.append(
            f"{counted(number, 'record')} of unknown type {'was' if number == 1 else 'were'} left out "
            f"({UNKNOWN_RECORDS}) of {counted(unknown.archives, 'archive')}: {_names(unknown)}"
        )
    return warnings


def _archives(number: int, one: str, several: str) -> str:
    return f"{counted(number, 'archive')} {one if number == 1 else several}"


def _some(named: NamedArchives | UnsetType) -> NamedArchives | None:
    """Runs of earlier versions do not name them."""
    return named if isinstance(named, NamedArchives) and named.archives else None


def _names(named: NamedArchives) -> str:
    left = named.archives - len(named.first)
    shown = (name if name.isprintable() else repr(name) for name in named.first)
    return ", ".join(shown) + (f" and {left:,} more" if left else "")


def deviations_of(extract: ExtractManifest, excluded: ExcludeManifest | None, sample: SampleManifest) -> list[str]:
    """Says where the run differs from the paper's English set."""
    gate = sample.config.gate
    deviations = []
    if tuple(gate.languages) != PRESETS["metaclip-english"]:
        languages = ",".join(gate.languages)
        deviations.append(
            f"language filter: {languages} (the paper keeps texts whose top fastText label is en)"
            if gate.languages
            else "no language filter (the paper keeps texts whose top fastText label is en)"
        )
    if gate.min_language_probability:
        deviations.append(f"language probability floor: {gate.min_language_probability} (the paper: none)")
    if sample.settings["entry_counts"]:
        deviations.append("entry counts: those of --entry-counts (the paper: of the pool that is sampled)")
    if excluded and any(draw.given_counts is True for draw in excluded.config.draws_before):
        deviations.append(
            "entry counts of a draw before: those of --entry-counts, where the counts here are estimates of its own "
            "eligible pairs (the paper: of the pool that is sampled)"
        )
    if extract.numbers.archives_failed:
        deviations.append(f"archives left out: {extract.numbers.archives_failed} (--max-failed-archives)")
    if extract.config.input == "pool":
        deviations.append("pairs: given by --pool (the paper: extracted from Common Crawl)")
    return deviations
