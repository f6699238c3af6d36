"""Which of several metadata lists a text is matched against: asked anew, with the reason in words."""

from dataclasses import dataclass

import pyarrow as pa

from metaclip_spark.entries import OTHER
from metaclip_spark.entries.files import file_digest
from metaclip_spark.errors import InputError
from metaclip_spark.list_thresholds import EntryLists
from metaclip_spark.runs.records import MatchManifest
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import MATCH
from metaclip_spark.steps.match import lists_of_labels
from udfs.matching.routing import COLUMN, PAGE, Routing


@dataclass(frozen=True)
class StoredChoice:
    """What match stored of a pair's list: its code, the label that chose it, and the label's probability."""

    code: str
    language: str | None
    probability: float


@dataclass(frozen=True)
class Choice:
    """The list of a text, by its code, and why; the code is None where there is none, as the label may be."""

    code: str | None
    language: str | None
    probability: float
    reason: str


@dataclass(frozen=True)
class Router:
    """How the texts of a run find their lists.

    Attributes:
        routing: How.
        missing_model: The model's file, where it is no longer what the run was matched with.
    """

    routing: Routing
    missing_model: str | None = None

    def choose(self, text: str, page_language: str | None, stored: StoredChoice | None = None) -> Choice:
        """Finds the list of a cleaned text.

        Args:
            text: The text.
            page_language: The language that its page declares, or that the pool's column says; None for a text alone.
            stored: What match stored, where it did: that stands.

        Raises:
            InputError: If it is not stored, and the model that says it is gone.
        """
        if self.missing_model is None:
            asked = self._ask(text, page_language)
            if stored is None or stored.code == asked.code:
                return asked
        if stored is not None:
            return Choice(stored.code, stored.language, stored.probability, "as match has stored it")
        raise InputError(
            f"{self.missing_model}, the model that the run was matched with, is gone or has changed: without it the "
            "language of a text that matched no entry is not known; put it back"
        )

    def _ask(self, text: str, page_language: str | None) -> Choice:
        from udfs.matching.language import likeliest_languages, route  # noqa: PLC0415 - fastText is needed here only

        routed = route(pa.array([text], pa.string()), pa.array([page_language], pa.string()), self.routing)
        label, probability = routed.languages[0].as_py(), routed.probabilities[0].as_py()
        if self.routing.language_from == COLUMN:
            reason = f"the pool's column says {label}" if label else "no column says its language"
        else:
            likeliest = likeliest_languages([text], 1, self.routing.model_file)[0][0][0]
            reason = self._reason(label, probability, page_language, likeliest)
        code = routed.codes[0].as_py()
        return Choice(code, label, probability, reason + self._way_to_list(label, probability, code))

    def _reason(self, label: str, probability: float, page_language: str | None, likeliest: str) -> str:
        """Says where the label comes from."""
        if label != likeliest:
            return (
                f"its page's language {label} is likely enough for the text ({probability:.3f}), whose likeliest one "
                f"is {likeliest}"
            )
        reason = f"{label} is the likeliest language of the text ({probability:.3f})"
        if self.routing.language_from == PAGE and page_language not in {None, label}:
            least = self.routing.page_language_probability
            reason += f"; its page's language {page_language} is not among the five likeliest with {least} or more"
        return reason

    def _way_to_list(self, label: str | None, probability: float, code: str | None) -> str:
        """Says why a label has not a list of its own; empty where it has."""
        if label is not None and probability < self.routing.min_list_probability:
            why = f", which is less likely than {self.routing.min_list_probability}"
        elif label is not None and label not in self.routing.lists:
            why = f", and no list is for {label}"
        else:
            why = ""
        return f"{why}, and there is no list {OTHER}" if code is None else why


def read_router(run: Run, lists: EntryLists) -> Router:
    """Reads how the texts of a run found their lists."""
    matched: MatchManifest | None = run.manifest_if_done(MATCH, 0)
    if matched is None:
        raise InputError(f"{run.storage.root} has no finished step '{MATCH.name}': run that step first")
    config = matched.config
    labels = config.labels or {}
    path = matched.settings.get("language_model")
    of_labels, other = lists_of_labels(labels, lists.codes)
    return Router(
        Routing(
            lists=of_labels,
            other=other,
            language_from=str(config.language_from),
            page_language_probability=float(config.page_language_probability or 0),
            min_list_probability=float(config.min_list_probability or 0),
            model_file=path,
        ),
        missing_model=path if path and _digest_of(path) != config.language_model else None,
    )


def _digest_of(path: str) -> str | None:
    """Digests a file; None where there is none."""
    try:
        return file_digest(path)
    except OSError:
        return None
