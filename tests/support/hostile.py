"""Texts that try to act on whoever looks at them, and a report that is full of them. Used by the tests."""

import msgspec
import pyarrow as pa

from metaclip_spark.reports.charts import curves_of
from metaclip_spark.reports.profile import EntryFigures, entry_coverage
from metaclip_spark.reports.records import ANY_PREFERENCE, NOT_READ, Report
from metaclip_spark.reports.samples import LONGEST_SHOWN, frequent_words
from tests.support.browser import HOSTILE_HOST
from udfs.preferences import PREFERENCES

NAME = "<title> & <svg onload=alert(1)>"
"""The name of the folder of a hostile report."""

MARK = "was-here"
"""What a text that runs leaves in the page's title."""

HOSTILE = (
    f"<script>document.title+='{MARK}'</script>",
    f"<img src=http://{HOSTILE_HOST}/a.png onerror=\"document.title+='{MARK}'\">",
    f'"><svg onload="document.title+=\'{MARK}\'">',
    f"'><iframe src=http://{HOSTILE_HOST}/></iframe>",
    f"</style><style>@import url(http://{HOSTILE_HOST}/a.css)</style>",
    f"<link rel=stylesheet href=//{HOSTILE_HOST}/b.css><base href=http://{HOSTILE_HOST}/>",
    f'<meta http-equiv=refresh content="0;url=http://{HOSTILE_HOST}/">',
    f"<form action=http://{HOSTILE_HOST}/><input autofocus onfocus=\"document.title+='{MARK}'\">",
    f"<a href=javascript:document.title='{MARK}'>here</a>",
    "{{ report.settings }} {% include 'x' %} ${7*7}",
    "--> ]]> </table></section></main></body></html> after the end",
    "&lt;script&gt; &amp; &#60;b&#62;",
    "left \u202e right to left \u2066 isolated \u202a and never closed",
    "nul \x00 bell \x07 escape \x1b[31m delete \x7f next line \x85",
    "\u200b\u200d\ufeff\u2028\u2029\U000e0041 nothing to see",
    "z" + "\u0300" * 500 + " climbs",
    "x" * 100_000,
    "<b>" * 40_000,
    "שלום עולם",
    "ordinary",
)


def hostile_report():
    """Makes a report with a hostile text in every place that strangers or paths can fill."""
    import numpy as np

    numbers = np.arange(len(HOSTILE)) * 7 % 23
    figures = EntryFigures(pa.array(HOSTILE), numbers, np.full(len(HOSTILE), 0.5), numbers / 2, numbers // 2)
    pairs = [
        {
            "pair_id": f"{place:032x}",
            "image_url": f"http://{HOSTILE_HOST}/{text}"[:LONGEST_SHOWN],
            "alt_text": text[:LONGEST_SHOWN],
            "characters": len(text),
            "url_characters": len(text) + 20 + len(HOSTILE_HOST),
            "keep_probability": 0.5,
        }
        for place, text in enumerate(HOSTILE)
    ]
    rows = [
        {
            "entry_id": place,
            "entry_text": text,
            "entry_count": 9,
            "entry_probability": 0.5,
            "expected_kept": 4.5,
            "kept": 4,
            "pairs": pairs[place : place + 2],
            "dropped": pairs[place - 2 : place],
        }
        for place, text in enumerate(HOSTILE)
    ]
    judged = [
        {"group": text[:200], "judged": 9, "left": 6, "reasons": {f"filter.{'a' * 60}": 2, "image.download_failed": 1}}
        for text in HOSTILE
    ]
    groups = [{"group": text[:200], "matched": 3, "curated": 2} for text in HOSTILE]
    stages = ("records", "pages", "images", "texts", "pairs", "pool", "matched", "curated")
    report = {
        "funnel": [
            {"in": stage, "in_number": 9, "out": "next", "out_number": 8, "reasons": {"record.bad": 1}}
            for stage in stages[:7]
        ],
        "archives": {"archives": 1},
        "matches": int(numbers.sum()),
        "matches_per_matched_pair": 2.0,
        "entries": len(HOSTILE),
        "entries_never_matched": 1,
        "head_entries": [],
        "threshold_t": 20,
        "expected_size": 8.2,
        "standard_error": 0.4,
        "size_bound": 9.0,
        "tail_share": 0.06,
        "head_entries_cut": 2,
        "curves": msgspec.to_builtins(curves_of(figures.counts, figures.kept, 20, 0.06)),
        "real_size": 8,
        "suspect": False,
        "warnings": list(HOSTILE[:4]),
        "checks": [
            {"check": text, "quantity": name, "operator": ">=", "bound": 0.5, "value": value, "passed": value > 0.5}
            for text, name, value in (
                (HOSTILE[0], "entries_matched_share", 0.49999),
                ("curated>=1", "curated", 2**63 - 1),
                (HOSTILE[2], "matches_per_matched_pair", 0.25),
            )
        ],
        "deviations_from_the_paper": list(HOSTILE[:4]),
        "seconds": {"extract": 1.5, "sample": 0.5},
        "settings": {"extract": {"archives": list(HOSTILE[:9]), "url_column": HOSTILE[0]}},
        "metadata_digest": "0" * 64,
        "versions": {"python": "3.11", "metaclip-spark": "0"},
        "profile": {
            "languages": groups,
            "domains": groups,
            "text_lengths": [{"group": 10, "matched": 3, "curated": 2}],
            "entries_per_pair": [{"group": 20, "matched": 3, "curated": 2}],
            "coverage": msgspec.to_builtins(entry_coverage(figures)),
            "most_cut": rows[:12],
            "most_kept": rows,
            "domains_lost": groups[::-1],
            "keep_probabilities": list(range(10)),
            "preferences": [
                {"group": name, "matched": 3, "curated": 2} for name in (*PREFERENCES, ANY_PREFERENCE, NOT_READ)
            ],
            "unmatched": {
                "searched": 9,
                "texts": [{"text": text[:LONGEST_SHOWN], "characters": len(text)} for text in HOSTILE],
                "words": msgspec.to_builtins(frequent_words([text for text in HOSTILE for _ in range(2)])),
            },
        },
        "survival": {
            "languages": judged,
            "domains": [
                *judged,
                {**judged[0], "group": "other domains of 1 to 9 pairs", "is_class": True, "domains": 3},
            ],
            "entries": [{**judged[0], "group": "with entries above t only", "is_class": True}],
        },
        "comparison": {
            "name": HOSTILE[0],
            "sentence": HOSTILE[1],
            "runs": [{"figure": "matches", "this": HOSTILE[0], "other": HOSTILE[1], "difference": HOSTILE[2]}],
            "settings": [{"figure": "archives", "this": HOSTILE[0], "other": HOSTILE[1]}],
            "curated": {"both": 3, "only_this": 2, "only_other": 1},
            "shared": 2,
            "rank_correlation": 0.5,
            "missing_there": {"entries": len(HOSTILE), "first": list(HOSTILE)},
            "missing_here": {"entries": 0, "first": []},
            "moves": [
                {
                    "entry_text": text,
                    "count_here": 1,
                    "count_there": 2,
                    "rank_here": 1.0,
                    "rank_there": 2.0,
                    "share_here": 0.1,
                    "share_there": 0.2,
                }
                for text in HOSTILE
            ],
        },
    }
    report |= {
        "output": f"{HOSTILE[0]}/{NAME}",
        "started": "2026-11-27T04:48:49Z",
        "ended": "2026-11-27T04:51:49Z",
        "commands": [
            {"at": "2026-11-27T04:48:49Z", "command": text, "host": text, "folder": text} for text in HOSTILE[:16]
        ],
    }
    return msgspec.convert(report, Report)
