"""Numbers of each metadata list, where there is one per language, and what to remark on them."""

from collections.abc import Sequence

from metaclip_spark.errors import counted
from metaclip_spark.reports.records import ListFigures
from metaclip_spark.runs.layout import THRESHOLDS as THRESHOLDS_TABLE
from metaclip_spark.runs.records import MatchManifest, SampleManifest
from metaclip_spark.runs.run import Run
from udfs.schemas import THRESHOLDS

_LITTLE = 100
"""Less than one pair of so many is little to keep of a language."""

_MOST_NAMED = 8


def list_figures(run: Run, matched: MatchManifest) -> list[ListFigures]:
    """Reads the numbers of each list, those with most matched pairs first; none of a single list."""
    if not run.state.written(THRESHOLDS_TABLE):
        return []
    texts = matched.numbers.texts if isinstance(matched.numbers.texts, dict) else {}
    figures = [
        ListFigures(**{**row, "threshold_t": row["threshold_t"] or "inf"}, texts=texts.get(row["metadata_language"], 0))
        for row in run.read_rows(THRESHOLDS_TABLE, THRESHOLDS).to_pylist()
    ]
    return sorted(figures, key=lambda each: (-each.pairs, each.metadata_language))


def list_warnings(figures: Sequence[ListFigures], sampled: SampleManifest) -> list[str]:
    """Says of which languages next to nothing is kept, and whether there is a tail share for them."""
    warnings = []
    if sampled.numbers.list_tail_share == 0:
        warnings.append(
            f"the tail share is 0: no matched entry of {sampled.config.anchor} is below the t that it is taken from; "
            "so t is 1 for every other language, unless it is given or raised"
        )
    few = [each.metadata_language for each in figures if each.kept * _LITTLE < each.pairs]
    if few:
        more = f" and {len(few) - _MOST_NAMED} more" if len(few) > _MOST_NAMED else ""
        warnings.append(
            f"less than 1% of the matched pairs is kept of {counted(len(few), 'language')}: "
            f"{', '.join(few[:_MOST_NAMED])}{more}. --min-language-pairs keeps more of them"
        )
    return warnings


def list_deviations(matched: MatchManifest, sampled: SampleManifest) -> list[str]:
    """Says where a run with several lists differs from the published worldwide recipe."""
    match, sample = matched.config, sampled.config
    deviations = ["metadata: one list per language, as in MetaCLIP 2 (the paper: one English list)"]
    if match.word_borders != "metaclip2":
        borders = match.word_borders if isinstance(match.word_borders, str) else "spaces"
        deviations.append(f"word borders: {borders} (MetaCLIP 2: other ones, --word-borders metaclip2)")
    if isinstance(match.language_from, str) and match.language_from != "text":
        deviations.append(f"languages: from the {match.language_from} (MetaCLIP 2: of the text alone)")
    if match.min_list_probability:
        deviations.append(f"unlikely languages: the list other below {match.min_list_probability} (MetaCLIP 2: none)")
    if isinstance(match.language_model, str):
        deviations.append("language identification: another model (MetaCLIP 2: lid.176)")
    if isinstance(sample.thresholds, str):
        deviations.append("thresholds: some given by --language-thresholds (MetaCLIP 2: one tail share for all)")
    if sample.min_language_pairs:
        deviations.append(f"thresholds: at least {sample.min_language_pairs} pairs of each language (MetaCLIP 2: none)")
    return deviations
