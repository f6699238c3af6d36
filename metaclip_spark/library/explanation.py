"""Why a pair is in the curated set or not, as a value for notebooks."""

from metaclip_spark.reports.explain import records
from metaclip_spark.reports.explain.lines import explain_lines


class Explanation(records.Explanation, kw_only=True):
    """The way of one or several pairs through a run: every number that decided.

    Notebooks show it, and `print` prints it, as `metaclip-spark explain` does.

    Attributes:
        pairs: The pairs, sorted by pair_id, at most as many as asked for: of each its entries with counts and
            probabilities, its keep probability, draw, stage (where it left: match, count or sample; or curated) and
            verdict. With several metadata lists the `text` of each has a `choice`: the list, its threshold, and why.
        pairs_in_all: Number of pairs in all.
        entry: What became of an entry's pairs, where one was asked about: curated, and dropped by reason.
        text: What the text matches, and what it all but matches, where a text was asked about.
        rejected: What extraction left out, where the pool has no such pair.
        removed_by: The removals that name the URL, text or pair_id, also where it was purged.
        same_key: Whether no pair has the given URL as it was given, and these have another spelling of it.
        preference_agent: Agents whose directives count in what pages declare, beside those for all.
        threshold_t: The threshold of the run; with several lists that of the anchor, or "by language".

    Example:
        >>> from metaclip_spark import open_run
        >>> run = open_run("demo-output")
        >>> pair_id = run.curated.orderBy("pair_id").first().pair_id
        >>> run.explain(pair_id=pair_id).pairs[0].stage
        'curated'
    """

    threshold_t: int | str

    def __str__(self) -> str:
        """What `metaclip-spark explain` prints; strangers' texts are in quotes, with what does not print escaped."""
        return "\n".join(explain_lines(self, self.threshold_t)).strip("\n")

    __repr__ = __str__
