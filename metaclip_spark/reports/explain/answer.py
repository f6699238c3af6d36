"""Finds the pairs that a user asks about, and explains them."""

import msgspec
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from metaclip_spark.commits.removals import read_registers, removals_naming
from metaclip_spark.config.inspection import ExplainConfig
from metaclip_spark.reports.explain.curation import Curation, read_curation
from metaclip_spark.reports.explain.drawn import LANGUAGE_GATE, NOT_DRAWN, drawn_pairs, removed_since_balance
from metaclip_spark.reports.explain.entry import find_entry
from metaclip_spark.reports.explain.pairs import explain_pair, explain_text
from metaclip_spark.reports.explain.records import (
    EntryOutcome,
    ExplainedPair,
    Explanation,
    Rejected,
    RejectExample,
    RemovedBy,
)
from metaclip_spark.runs.progress import described
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import EXTRACT, SAMPLE
from metaclip_spark.steps.exclusion.lists import list_reason, share_lists
from udfs.exclusion.digest_table import make_table, short_digest
from udfs.exclusion.kinds import COLUMNS
from udfs.exclusion.url_key import UrlKey, url_key
from udfs.pairs.rules import clean_text
from udfs.schemas import ARCHIVES, EXCLUDED, MATCHED, PAIRS, REJECTS


def explain(run: Run, config: ExplainConfig) -> Explanation:
    """Finds the pairs that a user asks about, and explains them; triggers Spark jobs, and writes nothing.

    A pair_id is found through row-group statistics, since files are sorted by it; a URL or a text by scanning one
    column, as those of an entry are. Where no pair has a URL as it is given, those with another spelling of it are
    looked for. At most `config.limit` are explained.
    """
    # Spark names a column only while a session is there, so the run's comes first.
    with described(run.spark, "explain"):
        curation = read_curation(run)
        explain_those = _explain_pairs if config.entry is None else _explain_entry
        explained = explain_those(run, config, curation)
    extracted = run.manifest_if_done(EXTRACT)
    agents = (extracted and extracted.config.preference_agent) or []
    return msgspec.structs.replace(explained, preference_agent=agents)


def _explain_pairs(run: Run, config: ExplainConfig, curation: Curation) -> Explanation:
    everything, condition = run.read_buckets("pool", PAIRS), _condition(config)
    pool = everything.where(condition)
    pairs = pool.orderBy("pair_id").limit(config.limit).collect()
    key = None if pairs or config.url is None else url_key(config.url)
    if key is not None and key.host_length:
        pool = _of_same_key(run, everything, key)
        pairs = pool.orderBy("pair_id").limit(config.limit).collect()
    ids = F.col("pair_id").isin([row.pair_id for row in pairs])
    matched = _matched(run, condition & ids if key is None else ids) if pairs else {}
    excluded = _excluded(run, ids) if pairs else {}
    is_text_alone = config.text is not None and config.archive is None
    return Explanation(
        pairs=[_explain_row(row, matched.get(row.pair_id), curation, excluded.get(row.pair_id)) for row in pairs],
        pairs_in_all=len(pairs) if len(pairs) < config.limit else pool.count(),
        entry=None,
        text=explain_text(config.text, curation) if config.text is not None else None,
        rejected=None if pairs or is_text_alone else _rejected(run, config),
        removed_by=_removals(run, config, pairs[0] if pairs else None),
        same_key=key is not None and bool(pairs),
    )


def _of_same_key(run: Run, pool: DataFrame, key: UrlKey) -> DataFrame:
    """Finds the pairs whose URL has this key, by which lists of URLs go, too."""
    host, image_url = key.text[: key.host_length], F.col("image_url")
    # Most URLs need no key: those of other hosts in plain letters.
    could_be = pool.where(F.lower(image_url).contains(host) | image_url.rlike(r"[^\x00-\x7F]"))
    lists = share_lists(run.spark, {"url": make_table(short_digest(key.text))})
    return list_reason(could_be, lists).where(F.col("reason").isNotNull()).drop("reason")


def _removals(run: Run, config: ExplainConfig, pair: Row | None) -> list[RemovedBy]:
    """Finds the removals that name what is asked about, by hash; of a pair that is there also what else it has."""
    url, text = config.url or "", config.text and clean_text(config.text)
    asked = {
        **(dict.fromkeys(("url", "prefix", "image_domain", "page_domain", "page"), url) if url else {}),
        **({"text": text} if text else {}),
        **({"pair": config.pair_id} if config.pair_id else {}),
    }
    known = {} if pair is None else {kind: pair[column] for kind, column in COLUMNS.items() if column in pair}
    values = {kind: value for kind, value in {**asked, **known}.items() if value}
    return [
        RemovedBy(number=register.number, at=register.removal.at, kind=kind, reason=register.removal.reason)
        for register, kind in removals_naming(read_registers(run.storage, run.state), values)
    ]


def _explain_entry(run: Run, config: ExplainConfig, curation: Curation) -> Explanation:
    entry = find_entry(str(config.entry), curation)
    code = curation.lists.lists.code_of(entry) if curation.lists else None
    its_list = curation.of_list(code)
    pairs = drawn_pairs(run, curation, F.array_contains("entry_ids", entry))
    numbers = {row.reason or "": row["count"] for row in pairs.groupBy("reason").count().collect()}
    curated = numbers.pop("", 0)
    last = [reason for reason in (LANGUAGE_GATE, NOT_DRAWN) if reason in numbers]
    dropped = {reason: numbers[reason] for reason in [*sorted(set(numbers).difference(last)), *last]}
    outcome = EntryOutcome(
        entry_text=its_list.entries[entry - its_list.first_id],
        entry_id=entry,
        entry_count=int(curation.counts[entry]),
        entry_probability=float(curation.probabilities[entry]),
        pairs=curated + sum(dropped.values()),
        curated=curated,
        dropped=dropped,
        metadata_language=code,
        threshold_t=None if code is None else its_list.threshold,
    )
    chosen = pairs.where(F.col("reason").isNotNull()) if config.dropped else pairs
    rows = chosen.orderBy("pair_id").limit(config.limit).collect()
    return Explanation(
        pairs=[_explain_row(row, row, curation, _rule_of(row)) for row in rows],
        pairs_in_all=outcome.pairs - curated if config.dropped else outcome.pairs,
        entry=outcome,
        text=None,
        rejected=None,
        removed_by=[],
    )


def _explain_row(row: Row, matched: Row | None, curation: Curation, excluded: str | None) -> ExplainedPair:
    """Explains a row of the pool, with what match stored of it, where it did."""
    if matched is None:
        return explain_pair(row.asDict(), (None, None), curation, excluded)
    language = (matched.language, matched.language_probability)
    return explain_pair(row.asDict(), language, curation, excluded, matched.metadata_language)


def _rule_of(row: Row) -> str | None:
    """Gives the rule that drops a row of `drawn_pairs`."""
    return None if row.reason in {LANGUAGE_GATE, NOT_DRAWN} else row.reason


def _condition(config: ExplainConfig) -> Column:
    if config.pair_id is not None:
        return F.col("pair_id") == config.pair_id
    if config.url is not None:
        return F.col("image_url") == config.url
    return F.col("alt_text") == clean_text(config.text or "")


def _matched(run: Run, condition: Column) -> dict[str, Row]:
    columns = ("pair_id", "language", "language_probability", "metadata_language")
    return {
        row.pair_id: row for row in run.read_buckets("matched", MATCHED).where(condition).select(*columns).collect()
    }


def _excluded(run: Run, condition: Column) -> dict[str, str]:
    """Gives the reasons of those pairs that a rule excludes, or that were removed since the set was balanced."""
    found: dict[str, str] = {}
    if run.manifest(SAMPLE).numbers.dropped:
        found = {row.pair_id: row.removed for row in removed_since_balance(run).where(condition).collect()}
    if run.has_table("excluded"):
        found |= {row.pair_id: row.reason for row in run.read_buckets("excluded", EXCLUDED).where(condition).collect()}
    return found


def _rejected(run: Run, config: ExplainConfig) -> Rejected:
    archives = run.read("archives", ARCHIVES)
    rejects = run.read("rejects", REJECTS)
    if config.archive is not None:
        archives = archives.where(F.col("archive") == config.archive)
        rejects = rejects.where(F.col("archive") == config.archive)
    reasons = archives.select(F.explode("rejected").alias("reason", "number")).groupBy("reason").agg(F.sum("number"))
    wanted = config.url or clean_text(config.text or "")
    examples: list[Row] = []
    if wanted:
        examples = rejects.where(F.contains("example", F.lit(wanted[:200]))).orderBy(*REJECTS.names).limit(5).collect()
    return Rejected(
        archive=config.archive,
        archives=archives.count(),
        reasons={reason: int(number) for reason, number in sorted(reasons.collect())},
        examples=[RejectExample(**row.asDict()) for row in examples],
    )
