"""Configurations: what they resolve, what is saved of them, what their digest covers."""

from metaclip_spark.config.curation import ExtractConfig, LanguageConfig, MatchConfig, OutputConfig, SampleConfig
from metaclip_spark.config.fields import as_dict, digest, result_fields


def test_the_preset_sets_the_gate():
    language = LanguageConfig(preset="metaclip-english")
    assert language.gate == {"languages": ["en"], "min_language_probability": 0.0}
    assert language.identifies


def test_infinity_is_a_threshold():
    assert SampleConfig(threshold_t="inf").threshold_t == float("inf")
    assert as_dict(SampleConfig(threshold_t="inf"))["threshold_t"] == "inf"


def test_the_digest_covers_only_what_changes_results():
    plain = OutputConfig(output="out")
    assert result_fields(plain) == {"output": "out"}
    assert digest(result_fields(MatchConfig("m"))) == digest(result_fields(MatchConfig("n", engine="pyahocorasick")))
    assert digest(result_fields(SampleConfig(5))) != digest(result_fields(SampleConfig(5, seed=1)))


def test_settings_are_stored_without_credentials():
    config = ExtractConfig(archives=("https://user:secret@example.org/a.gz?X-Amz-Signature=secret#part", "s3://b/c?d"))
    assert as_dict(config)["archives"] == ["https://example.org/a.gz?...", "s3://b/c?d"]
