"""The pairs to balance, as the steps before have left them."""

from metaclip_spark.config.curation import LanguageConfig
from metaclip_spark.errors import MetadataError
from metaclip_spark.pipeline.removals import check_removals_excluded
from metaclip_spark.runs.records import ExcludeManifest, ExcludeSettings, MatchManifest
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import EXCLUDE, MATCH


def eligible_manifest(run: Run, language: LanguageConfig, metadata_digest: str) -> MatchManifest | ExcludeManifest:
    """Gives the manifest of the pairs to balance: of the eligible ones, of all matched ones where there is no rule."""
    matched = run.manifest(MATCH)
    stored = matched.config.metadata_digest
    if stored != metadata_digest:
        raise MetadataError(
            f"--metadata is another list than {run.storage.root} was matched with (digest {metadata_digest[:12]}..., "
            f"not {stored[:12]}...): give the same list and --word-borders, or run match again"
        )
    if language.languages and not matched.config.language_identified:
        raise MetadataError(
            "--languages needs the languages of the matched pairs: run match again with --identify-language"
        )
    eligible = run.manifest(EXCLUDE) if EXCLUDE.name in run.state.begins else matched
    check_removals_excluded(run, eligible)
    return eligible


def are_survivors(eligible: MatchManifest | ExcludeManifest) -> bool:
    """Tells whether they are the survivors of another run's draw, so that counts of them are estimates."""
    return isinstance(eligible.config, ExcludeSettings) and eligible.config.is_estimated
