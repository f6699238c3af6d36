"""How a check's value is written beside its bound."""

import pytest

from metaclip_spark.reports.checks import value_shown


@pytest.mark.parametrize(
    ("quantity", "value", "bound", "shown"),
    [
        ("curated", 1_234_567, 1, "1,234,567"),
        ("matched_share", 0.647, 0.9, "64.7%"),
        ("matched_share", 0.3, 0.3, "30%"),
        ("matched_share", 1.0, 0.5, "100%"),
        ("matched_share", 0.29999, 0.3, "29.999%"),
        ("matched_share", 0.1 + 0.2, 0.3, "30.00000000000000%"),
        ("tail_share", 0, 0.3, "0%"),
        ("matches_per_matched_pair", 2.6421629, 3.0, "2.64216"),
    ],
)
def test_a_share_is_written_so_that_it_differs_from_a_bound_that_it_is_not(quantity, value, bound, shown):
    assert value_shown(quantity, value, bound) == shown
