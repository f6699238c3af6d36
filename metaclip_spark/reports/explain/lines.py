"""An explanation in plain text; strangers' texts are escaped."""

from metaclip_spark.errors import counted
from metaclip_spark.reports.records import ExplainedText, Explanation, Rejected


def explain_lines(explained: Explanation, curation_threshold: int | str) -> list[str]:
    """Puts an explanation into plain text; control characters of strangers' texts are escaped."""
    lines = []
    for pair in explained.pairs:
        lines += [
            f"pair {pair.pair_id}",
            f"  URL              {shown(pair.image_url)}",
            f"  from             {shown(pair.archive)}, record at {pair.record_offset}",
            *_text_lines(pair.text, curation_threshold),
        ]
        if pair.language is not None:
            lines.append(f"  language         {pair.language} with probability {pair.language_probability:.3f}")
        lines += [f"  draw             {pair.draw:.6f}", f"  verdict          {pair.verdict}", ""]
    if explained.pairs_in_all > len(explained.pairs):
        lines += [f"{explained.pairs_in_all:,} pairs in all; the first {len(explained.pairs)} are shown", ""]
    if explained.rejected is not None:
        is_text_alone = explained.text is not None and explained.rejected.archive is None
        if explained.text:
            lines += ["the text alone", *_text_lines(explained.text, curation_threshold), ""]
        if is_text_alone:
            lines.append("the pool has no pair with this text")
        else:
            lines += _rejected_lines(explained.rejected)
    return lines


def shown(text: str | None) -> str:
    """Puts a stranger's text in quotes, with what does not print (controls, bidirectional marks) escaped."""
    return repr(text)


def _text_lines(explained: ExplainedText, threshold: int | str) -> list[str]:
    lines = [f"  text, cleaned    {shown(explained.text)}", f"  text, spaced     {shown(explained.spaced)}"]
    for entry in sorted(explained.entries, key=lambda entry: entry.places):
        places = ", ".join(map(str, entry.places))
        lines.append(
            f"  entry            {shown(entry.entry_text)} at {places}: count {entry.entry_count:,}, probability "
            f"{entry.entry_probability:.6f} = min(1, {threshold} / count)"
        )
    if not explained.entries:
        lines.append("  entry            none")
    return [*lines, f"  keep probability {explained.keep_probability:.6f}"]


def _rejected_lines(rejected: Rejected) -> list[str]:
    where = shown(rejected.archive) if rejected.archive else counted(rejected.archives, "archive")
    if not rejected.archives:
        return [f"the run read no archive {where}"]
    lines = ["not in the pool: no archive had this pair, or extraction dropped it", f"extraction of {where} left out:"]
    lines += [f"  {number:>14,}   {reason}" for reason, number in rejected.reasons.items()]
    for example in rejected.examples:
        lines.append(
            f"  example with it: {example.reason} in {shown(example.archive)} at {example.record_offset}: "
            f"{shown(example.example)}"
        )
    return lines
