"""Builds the lists of a plan, one after another, and the file that names them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.parquet as pq
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped, unused-ignore]
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from metaclip_spark.config.fields import as_dict
from metaclip_spark.config.job import root_cause
from metaclip_spark.config.metadata import MetadataOutput, MetadataSources, WorldwideOutput
from metaclip_spark.entries.lists import FORMAT, LANGUAGES_FILE, OTHER
from metaclip_spark.errors import CurationError, MetadataError, OutputExistsError, counted, joined
from metaclip_spark.metadata_builder.build import build_metadata, require_icu, taking
from metaclip_spark.metadata_builder.entry_list import (
    DESCRIPTION_FILE,
    LIST_FILE,
    Entry,
    digest_of,
    write_list,
)
from metaclip_spark.metadata_builder.worldwide.labels import labels_of
from metaclip_spark.metadata_builder.worldwide.plan import Plan, WikiPlan
from metaclip_spark.stores.storage import JsonObject, Storage

PARTS_FOLDER = "wikis"
"""Holds what is built from the wikis of a list that has several."""

PLANNED_FILE = "languages.plan.json"
"""What languages.json would say by the plan, where it says something else and is kept."""

_TABLE_FILE = "metadata.parquet"
_ANEW = "delete that folder to build it anew, or use --overwrite for all lists"
_APPLICANT = "metaclip-spark build-worldwide"

_FAILURES = (CurationError, OSError, Py4JJavaError, PySparkException)
_FAILURES_SHOWN = 3

Told = Callable[[str], None]


@dataclass
class WorldwideLists:
    """What became of the lists.

    Attributes:
        entries: Code of each list that is there -> its number of entries.
        failed: The codes of those that could not be built.
        written: The name of the file that names the lists: `PLANNED_FILE` where another languages.json was kept; empty
            where lists failed.
    """

    entries: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    written: str = ""


def build_worldwide(spark: SparkSession, plan: Plan, output: WorldwideOutput, told: Told) -> WorldwideLists:
    """Builds every list that is not done; languages.json comes last, once all are there. Triggers Spark jobs.

    Args:
        spark: The session that counts.
        plan: The lists and their wikis.
        output: Where they go.
        told: Takes a line for each list.

    Returns:
        What is there, and what failed.

    Raises:
        ConfigError: If a language needs ICU, which is not installed.
    """
    for wikis in plan.lists.values():
        for wiki in wikis:
            require_icu(_sources_of(wiki))
    if OTHER in plan.lists:
        wikis_of_other = [wiki.code for wiki in plan.lists[OTHER]]
        told(f"{OTHER} is the list of {joined(wikis_of_other)}: the plan gives them none of their own")
    storage = Storage(output.output)
    lists = WorldwideLists()
    for code, wikis in plan.lists.items():
        try:
            lists.entries[code], kept = _list(spark, code, wikis, output)
        except _FAILURES as error:
            lists.failed.append(code)
            told(f"{code}: failed: {_why(error)}")
        else:
            told(f"{code}: {counted(lists.entries[code], 'entry', 'entries')}{', as built before' if kept else ''}")
    if not lists.failed:
        lists.written = _put_languages(storage, plan, overwrite=output.overwrite)
    return lists


def languages_file(plan: Plan) -> str:
    """What languages.json says of a plan whose lists are all there."""
    content: JsonObject = {"format": FORMAT}
    if plan.anchor:
        content["anchor"] = plan.anchor
    content["lists"] = {code: {"file": f"{code}/{LIST_FILE}"} for code in sorted(plan.lists, key=str.encode)}
    content["labels"] = labels_of(plan.lists, plan.labels)
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _put_languages(storage: Storage, plan: Plan, *, overwrite: bool) -> str:
    """Writes languages.json, or another file beside one that a user may have edited; returns its name."""
    content = languages_file(plan)
    if not overwrite and storage.read_object(LANGUAGES_FILE) not in (None, content.encode()):
        storage.put_text(PLANNED_FILE, content)
        return PLANNED_FILE
    storage.put_text(LANGUAGES_FILE, content)
    storage.delete(PLANNED_FILE)
    return LANGUAGES_FILE


def _why(error: Exception) -> str:
    if isinstance(error, CurationError | OSError):
        return " ".join(str(error).split())
    return f"a Spark job failed: {root_cause(str(error))}"


def _list(spark: SparkSession, code: str, wikis: Sequence[WikiPlan], output: WorldwideOutput) -> tuple[int, bool]:
    """Builds a list; returns its number of entries, and whether all of it was there before."""
    root = output.output.rstrip("/")
    if len(wikis) == 1:
        return _wiki(spark, wikis[0], f"{root}/{code}", output)
    storage = Storage(f"{root}/{code}")
    found = None if output.overwrite else storage.read_json(DESCRIPTION_FILE)
    if found:
        # Before the wikis are counted, which may take hours.
        _check_wikis(found, wikis, str(storage.root))
    were_kept = _parts(spark, wikis, f"{root}/{PARTS_FOLDER}", output)
    parts = [Storage(f"{root}/{PARTS_FOLDER}/{wiki.code}") for wiki in wikis]
    digests = {wiki.code: _description(part)["digest"] for wiki, part in zip(wikis, parts, strict=True)}
    if found:
        changed = [wiki for wiki, digest in digests.items() if found["wikis"][wiki] != digest]
        if changed:
            raise OutputExistsError(f"{storage.root} has other entries of {joined(changed)}: {_ANEW}")
        return int(found["entries"]), were_kept
    entries: dict[str, Entry] = {}
    for part in parts:
        for entry in _entries(part):
            entries.setdefault(entry.text, entry)
    description = {"entries": len(entries), "digest": digest_of(entries), "wikis": digests}
    with taking(storage, _APPLICANT) as owner:
        write_list(storage, list(entries.values()), description, owner.check)
    return len(entries), False


def _check_wikis(found: JsonObject, wikis: Sequence[WikiPlan], shown: str) -> None:
    """Refuses to write over a list of other wikis.

    Raises:
        OutputExistsError: If the list that was found has others.
    """
    before = found.get("wikis") or [found["sources"]["language"]]
    if set(before) != {wiki.code for wiki in wikis}:
        now = joined([wiki.code for wiki in wikis])
        raise OutputExistsError(f"{shown} was built from {joined(sorted(before))}, not {now}: {_ANEW}")


def _parts(spark: SparkSession, wikis: Sequence[WikiPlan], folder: str, output: WorldwideOutput) -> bool:
    """Builds the wikis of a list, each for itself; returns whether all of them were there before.

    Raises:
        MetadataError: If some could not be built; the message names the first of them.
    """
    kept: list[bool] = []
    failed: list[str] = []
    for wiki in wikis:
        try:
            kept.append(_wiki(spark, wiki, f"{folder}/{wiki.code}", output)[1])
        except _FAILURES as error:
            failed.append(f"{wiki.code}: {_why(error)}")
    if failed:
        more = f" and {len(failed) - _FAILURES_SHOWN} more" if len(failed) > _FAILURES_SHOWN else ""
        number = f"{len(failed)} of {counted(len(wikis), 'wiki')}"
        raise MetadataError(f"{number} could not be built: {'; '.join(failed[:_FAILURES_SHOWN])}{more}")
    return all(kept)


def _wiki(spark: SparkSession, wiki: WikiPlan, folder: str, output: WorldwideOutput) -> tuple[int, bool]:
    """Builds the entries of a wiki where they are not there with the same settings.

    Raises:
        OutputExistsError: If they are there with other settings.
    """
    sources = _sources_of(wiki)
    wanted = {"sources": as_dict(sources), "thresholds": as_dict(wiki.thresholds.filled(sources.language))}
    found = Storage(folder).read_json(DESCRIPTION_FILE)
    if found and not output.overwrite:
        if any(found.get(name) != value for name, value in wanted.items()):
            raise OutputExistsError(f"{folder} was built with other settings: {_ANEW}")
        return int(found["entries"]), True
    place = MetadataOutput(
        folder,
        overwrite=True,
        s3_packages=output.s3_packages,
        allow_rename_committer=output.allow_rename_committer,
    )
    return len(build_metadata(spark, sources, wiki.thresholds, place).entries), False


def _sources_of(wiki: WikiPlan) -> MetadataSources:
    return replace(wiki.sources, language=wiki.code)


def _description(storage: Storage) -> JsonObject:
    found = storage.read_json(DESCRIPTION_FILE)
    assert found is not None
    return found


def _entries(storage: Storage) -> list[Entry]:
    table = pq.read_table(pa.BufferReader(storage.read_bytes(_TABLE_FILE)))
    columns = (table[name].to_pylist() for name in ("entry_text", "source", "strength"))
    return [Entry(*row) for row in zip(*columns, strict=True)]
