"""Orders of variants against published ones."""

import pytest

from metaclip_spark.clip_benchmark.evaluation.ranking import order_agreement

PUBLISHED = {"clip": 32.8, "slip": 34.3, "filip": 39.5, "declip": 43.2}


def seeds(spread=0.01, **means):
    """Five seeds of each variant, whose differences vary from seed to seed."""
    return {
        name: {seed: mean + spread * ((seed * (place + 2)) % 5 - 2) for seed in range(5)}
        for place, (name, mean) in enumerate(means.items())
    }


def test_the_same_order_agrees_whatever_the_values():
    found = order_agreement(seeds(clip=0.1, slip=0.2, filip=0.3, declip=0.9), PUBLISHED)
    assert (found.tau, found.contradicted) == (pytest.approx(1), ())
    assert found.variants == ("declip", "filip", "slip", "clip")


def test_what_is_in_another_order_is_named():
    # Of six pairs two are reversed: (4 - 2) / 6.
    found = order_agreement(seeds(clip=0.35, slip=0.2, filip=0.345, declip=0.9, other=1.0), PUBLISHED)
    assert found.tau == pytest.approx(1 / 3)
    assert (found.contradicted, found.within_noise) == ((("clip", "slip"),), (("clip", "filip"),))


def test_few_seeds_and_equal_means_contradict_nothing():
    few = {name: {seed: values[seed] for seed in (0, 1)} for name, values in seeds(clip=0.9, slip=0.1).items()}
    found = order_agreement(few, PUBLISHED)
    assert (found.tau, found.contradicted, found.within_noise) == (pytest.approx(-1), (), (("clip", "slip"),))
    assert order_agreement(seeds(0, clip=0.5, slip=0.5), PUBLISHED).tau is None


def test_one_variant_has_no_order():
    assert order_agreement(seeds(clip=0.35, other=0.2), PUBLISHED) is None
