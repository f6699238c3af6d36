"""The command line, the YAML file and the help that are made of configurations."""

import re
from dataclasses import fields
from typing import get_origin, get_type_hints

import pytest

from metaclip_spark.clip_benchmark.settings.data_config import ShardsConfig
from metaclip_spark.clip_benchmark.settings.grid_config import GridConfig
from metaclip_spark.clip_benchmark.settings.scoring_config import ExportConfig, ScoringConfig
from metaclip_spark.commands.main import VERBS
from metaclip_spark.config.command_line import parse_configs
from metaclip_spark.config.curation import (
    ExtractConfig,
    LanguageConfig,
    MatchConfig,
    OutputConfig,
    ReportConfig,
    SampleConfig,
)
from metaclip_spark.config.fields import limit_of, option_of
from metaclip_spark.config.inspection import ExplainConfig, PlanConfig
from metaclip_spark.config.metadata import DiffConfig, LintConfig, MetadataOutput, MetadataSources, MetadataThresholds
from metaclip_spark.errors import ConfigError

ALL = (OutputConfig, ExtractConfig, MatchConfig, LanguageConfig, SampleConfig)
LEAST = ["--archives", "a.warc.gz", "--metadata", "m.json", "--output", "out", "--threshold-t", "20000"]


def parse(*options: str) -> tuple:
    return parse_configs([*LEAST, *options], "A job.", *ALL)


def test_the_command_of_the_readme():
    output, extract, match, language, sample = parse("--seed", "7", "--resume", "--archives", "b.warc.gz")
    assert output == OutputConfig(output="out", resume=True)
    assert extract.archives == ("a.warc.gz", "b.warc.gz")
    assert match == MatchConfig(metadata="m.json", engine="token")
    assert language == LanguageConfig()
    assert sample == SampleConfig(threshold_t=20000, seed=7)


def test_a_yaml_file_and_the_command_line_together(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("archives: [x.wat.gz]\nmetadata: m.json\noutput: out\ntail_share: 0.06\nlanguages: [en, de]\n")
    output, extract, _, language, sample = parse_configs(["--config", str(file), "--output", "other"], "A job.", *ALL)
    assert output.output == "other"
    assert extract.archives == ("x.wat.gz",)
    assert language.languages == ("de", "en")
    assert sample.tail_share == 0.06


def test_print_config_can_be_read_back(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        parse("--languages", "en,de", "--print-config")
    assert stop.value.code == 0
    file = tmp_path / "printed.yaml"
    file.write_text(capsys.readouterr().out)
    assert parse_configs(["--config", str(file)], "A job.", *ALL) == parse("--languages", "en,de")


def test_help_describes_every_option(capsys):
    with pytest.raises(SystemExit) as stop:
        parse("--help")
    assert stop.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for option in ("--threshold-t", "--rows-per-file", "--max-failed-archives", "--print-config", "--config"):
        assert option in shown
    assert "Keep pairs whose text is in one of these languages" in shown


def help_of(command, capsys, monkeypatch):
    """What --help shows, with each option on one line."""
    monkeypatch.setenv("COLUMNS", "10000")
    with pytest.raises(SystemExit):
        command(["--help"])
    return re.sub(r"\n {20,}", " ", capsys.readouterr().out)


@pytest.mark.parametrize("verb", VERBS)
def test_help_says_in_plain_words_what_an_option_takes(verb, capsys, monkeypatch):
    shown = help_of(VERBS[verb], capsys, monkeypatch)
    names_of_types = (
        r"type:|\b[A-Z][a-z]+(Int|Float|Interval)\b|Literal|\b(str|int|float|bool)\b|default: (null|False)|\[\]"
    )
    assert not re.search(names_of_types, shown)
    for config_class in VERBS[verb].configs:
        for name, hint in get_type_hints(config_class, include_extras=True).items():
            (field,) = (field for field in fields(config_class) if field.name == name)
            typed = name.upper() if field.metadata.get("positional") else option_of(name)
            (line,) = re.findall(rf"^  {typed}\b(?!-).*", shown, re.MULTILINE)
            assert line.endswith(")") == (hint is not bool)
            assert get_origin(hint) is tuple or limit_of(hint) in line


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--output", "(a path; required)"),
        ("--archives", "(one or more paths)"),
        ("--languages", "(one or more texts)"),
        ("--preference-agent", "(one or more product tokens)"),
        ("--url-column", "(a text; default: url)"),
        ("--rows-per-file", "(an integer from 1 to 2^63 - 1; default: 1,000,000)"),
        ("--max-rejects", "(a number from 0 to 1; default: 0.05)"),
        ("--max-failed-archives", "(an integer of at least 0; default: 0)"),
        ("--engine", "(one of token, pyahocorasick; default: token)"),
        ("--tail-share", "(a number between 0 and 1)"),
        ("--threshold-t", "(an integer of at least 1, such as 20k, or inf)"),
        ("--target-pairs", "(an integer of at least 1, or such as 10M)"),
    ],
)
def test_the_words_for_values(option, words, capsys, monkeypatch):
    shown = help_of(VERBS["curate"], capsys, monkeypatch)
    (line,) = re.findall(rf"^  {option}\b(?!-).*", shown, re.MULTILINE)
    assert line.endswith(words)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resume", "--overwrite"], "--resume keeps the output and --overwrite deletes it"),
        (["--pool", "x.parquet"], "give exactly one of --archives, --pool and --crawl"),
        (["--tail-share", "0.06"], "exactly one of --threshold-t, --tail-share and --target-pairs"),
        (["--threshold-t", "0"], "--threshold-t must be a whole number, 1 or more, or inf (got 0)"),
        (["--threshold-t", "2.5"], "--threshold-t must be a whole number, 1 or more, or inf (got 2.5)"),
        (["--threshold-t", "nan"], "--threshold-t must be a whole number, 1 or more, or inf (got 'nan')"),
        (["--threshold-t", "many"], "--threshold-t must be a whole number, 1 or more, or inf (got 'many')"),
        (["--engine", "regex"], "--engine is 'regex': it must be one of token, pyahocorasick"),
        (["--max-rejects", "1.5"], "--max-rejects is 1.5"),
        (["--max-rejects", "few"], "--max-rejects is 'few': it must be a number from 0 to 1"),
        (["--rows-per-file", "0"], "--rows-per-file is 0"),
        (["--archives-per-wave", "0"], "--archives-per-wave is 0"),
        (["--seed", "-1"], "--seed is -1"),
        (["--min-language-probability", "0.5"], "--min-language-probability needs --languages"),
        (["--preset", "metaclip-english", "--languages", "de"], "leave out the other language options"),
        (["--preset", "other"], "--preset is 'other'"),
        (["--sede", "1"], "--sede: there is no such option; did you mean --seed? (see --help)"),
        (["--unheard-of", "1"], "--unheard-of: there is no such option (see --help)"),
        (["--resume", "yes"], "'yes' belongs to no option (see --help)"),
        (["--seed"], "--seed needs a value (see --help)"),
        (["--archives"], "--archives needs a value (see --help)"),
        (["--languages", "eng"], "--languages eng: fastText knows no such language; did you mean en?"),
        (["--languages", "en,English"], "--languages english: fastText knows no such language; did you mean en?"),
        (["--languages", "germn"], "--languages germn: fastText knows no such language; did you mean de?"),
        (["--languages", "xx"], "--languages xx: fastText knows no such language; give its codes, such as en,de"),
        (["--archives", ""], "--archives is empty: name a path (is a variable in the command unset?)"),
        (["--output", ""], "--output is empty"),
        (["--config", "/does/not/exist.yaml"], "--config /does/not/exist.yaml: no such file"),
        (
            ["--page-timeout-seconds", "1e300"],
            "--page-timeout-seconds is 1e300: it must be a number above 0 and at most 86,400 (a day)",
        ),
        (["--page-timeout-seconds", "0"], "--page-timeout-seconds is 0: "),
        (["--page-timeout-seconds", "inf"], "--page-timeout-seconds is inf: "),
        (["--page-timeout-seconds", "nan"], "--page-timeout-seconds is nan: "),
        (["--threshold-t", "99999999999999999999"], "at most 2^63"),
        (["--threshold-t", "9" * 5000], "--threshold-t must be at most 2^63"),
        (["--rows-per-file", "99999999999999999999"], "it must be an integer from 1 to 2^63 - 1"),
        (
            ["--attempts", "99999999999999999999"],
            "--attempts is 99999999999999999999: it must be an integer from 1 to 1,000",
        ),
        (["--languages", ""], "--languages names no language"),
        (["--preference-agent", "CCBot", "robots"], "--preference-agent robots: it is a name or value of directives"),
    ],
)
def test_bad_options_are_refused_in_one_line(options, message):
    with pytest.raises(ConfigError) as refused:
        parse(*options)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("page_timeout_seconds: .inf", "{file}, line 1: page_timeout_seconds is inf: it must be a number above 0"),
        ("page_timeout_seconds: .nan", "{file}, line 1: page_timeout_seconds is nan"),
        ("seed: 1\nmax_rejects: .nan", "{file}, line 2: max_rejects is nan: it must be a number from 0 to 1"),
        ('entry_counts: ""', "--entry-counts is empty"),
        ('archives_prefix: "a\\0b"', "--archives-prefix is 'a\\x00b', which holds a NUL character"),
        ("archives: {a: b}", "{file}, line 1: archives must be a value or a list of values, such as [x.warc.gz]"),
        ("threshold_t: " + "9" * 5000, "4300 digits"),
        ("- a\n- b", "{file} holds no options"),
        ("", "{file} holds no options"),
        ("output: [", "{file}, line 1 is not YAML: "),
        ("output: out\n\tseed: 1", "{file}, line 2: tabs are not allowed in YAML: use spaces"),
        ("seed: 1\nsede: 2", "{file}, line 2: no option is called sede; did you mean seed?"),
        ("max-rejects: 2", "{file}, line 1: no option is called max-rejects; did you mean max_rejects?"),
        ("seed: 1\nseed: 2", "{file}, line 2: seed is in line 1 already: give it once"),
        ("tail_share: 6%", "{file}, line 1: tail_share is '6%': it must be a number between 0 and 1"),
        ("&a [*a]", "{file} holds no options"),
        ("[" * 1_500 + "]" * 1_500, "{file} holds no options"),
    ],
    ids=lambda text: text[:30] or "nothing",
)
def test_bad_values_in_the_yaml_file_are_refused_in_one_line(tmp_path, text, message):
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        parse_configs(["--config", str(file), *LEAST], "A job.", *ALL)
    assert message.format(file=f"--config {file}") in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_list_that_the_yaml_file_leaves_empty_is_left_out(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("entry_counts: null\n")
    assert parse("--config", str(file))[-1].entry_counts == ()


@pytest.mark.parametrize("form", [["--config", "{}"], ["--config={}"]], ids=["apart", "joined"])
def test_a_yaml_file_that_is_not_utf8_is_refused_by_name(tmp_path, form):
    file = tmp_path / "run.yaml"
    file.write_bytes(b"output: caf\xe9\n")
    with pytest.raises(ConfigError, match=r"--config .*run\.yaml is not UTF-8 at byte 11: convert it"):
        parse(*(part.format(file) for part in form))


@pytest.mark.parametrize(("file", "message"), [("", "--config is empty"), ("a\0b", "NUL"), ("~no-such-user/x", "home")])
def test_a_yaml_file_that_has_no_name_is_refused(file, message):
    with pytest.raises(ConfigError, match=message):
        parse("--config", file)


JOBS = {
    "curate": ALL,
    "report": (OutputConfig, ReportConfig),
    "plan": (PlanConfig,),
    "explain": (ExplainConfig,),
    "build": (MetadataSources, MetadataThresholds, MetadataOutput),
    "lint": (LintConfig,),
    "diff": (DiffConfig,),
    "make_shards": (ShardsConfig,),
    "benchmark": (GridConfig,),
    "evaluate-clip": (ScoringConfig,),
    "export-clip": (ExportConfig,),
}
NEEDED = {
    "curate": LEAST,
    "report": ["--output", "out"],
    "plan": ["--run", "run"],
    "explain": ["--run", "run", "--text", "a"],
    "build": ["--output", "out", "--wordnet", "w"],
    "lint": ["--metadata", "m.json"],
    "diff": ["--old", "m.json", "--new", "n.json"],
    "make_shards": ["--pairs", "p", "--images", "i", "--output", "o"],
    "benchmark": ["--output", "o"],
    "evaluate-clip": ["--data", "d", "--checkpoint", "c"],
    "export-clip": ["--checkpoint", "c", "--output", "o"],
}
PATHS = {
    "curate": {"archives", "archives_prefix", "pool", "metadata", "output", "entry_counts"},
    "report": {"output", "against"},
    "plan": {"run", "at_counts", "curve"},
    "explain": {"run"},
    "build": {"wordnet", "articles", "pageviews", "unigram_counts", "bigram_counts", "title_views", "output"},
    "lint": {"metadata", "fix"},
    "diff": {"old", "new", "output"},
    "make_shards": {"pairs", "images", "output"},
    "benchmark": {"output", "data"},
    "evaluate-clip": {"data", "checkpoint", "templates", "output"},
    "export-clip": {"checkpoint", "output"},
}
PATH_OPTIONS = [(job, name) for job, names in PATHS.items() for name in sorted(names)]


def path_of(job, name, path):
    """Parses one path option, and gives what became of it."""
    apart = ["--unigram-counts", "u"] if name == "bigram_counts" else []
    needed = [
        option
        for option in NEEDED[job]
        if name not in {"pool", "archives"} or option not in {"--archives", "a.warc.gz"}
    ]
    configs = parse_configs([*needed, *apart, f"--{name.replace('_', '-')}={path}"], "A job.", *JOBS[job])
    return next(getattr(config, name) for config in configs if hasattr(config, name))


@pytest.mark.parametrize(("job", "name"), PATH_OPTIONS)
def test_every_path_option_refuses_what_names_nothing(job, name):
    with pytest.raises(ConfigError, match=f"--{name.replace('_', '-')} is 's3://', which names no bucket or folder"):
        path_of(job, name, "s3://")


@pytest.mark.parametrize("option", [("curate", "output"), ("curate", "entry_counts"), ("report", "against")])
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("a\0b", "NUL character"),
        ("caf\udce9", "not UTF-8"),
        ("s3:///x", "no bucket or folder"),
        ("hdfs://", "no bucket or folder"),
        ("https://[x", "begins with https://, but is not a valid URL"),
        ("https://[x\0", "NUL character"),
        ("~no-such-user/x", "no such home folder"),
    ],
)
def test_a_path_that_is_none_is_refused_by_its_option(option, path, message):
    with pytest.raises(ConfigError, match=message) as refused:
        path_of(*option, path)
    assert str(refused.value).startswith(f"--{option[1].replace('_', '-')} ")
    assert "\n" not in str(refused.value)


def test_credentials_in_a_path_that_is_refused_are_not_shown():
    with pytest.raises(ConfigError, match="NUL character") as refused:
        path_of("curate", "archives", "https://me:secret@example.org/a\0.warc.gz?X-Amz-Signature=secret")
    assert "secret" not in str(refused.value)
    assert "example.org" in str(refused.value)


@pytest.mark.parametrize(("job", "name"), PATH_OPTIONS)
def test_a_tilde_is_the_home_folder_in_every_path(job, name, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    ending = {"fix": ".json", "curve": ".png"}.get(name, ".json" if job == "evaluate-clip" else "")
    assert path_of(job, name, f"~/a/~{ending}") in (f"/home/me/a/~{ending}", (f"/home/me/a/~{ending}",))


@pytest.mark.parametrize("path", ["a/~/b", "./~", "a~", "/x/~me", "file:///x/~/a", "s3://bucket/~/a"])
def test_a_tilde_stays_where_no_path_begins_with_it(path):
    assert path_of("curate", "output", path) == path


@pytest.mark.parametrize("option", ["output", "data", "synonyms"])
def test_the_benchmark_works_in_local_folders(option):
    with pytest.raises(ConfigError, match=f"--{option} s3://bucket/x must be a local path"):
        path_of("benchmark", option, "s3://bucket/x")


def test_a_weight_decay_that_is_no_number_is_refused():
    with pytest.raises(ConfigError, match="--weight-decay is nan"):
        GridConfig(output="o", weight_decay=float("nan"))


def test_what_is_empty_by_default_may_be_given_so():
    assert path_of("curate", "archives_prefix", "") == ""


@pytest.mark.parametrize(
    "option", ["min_unigram_count", "min_hourly_views", "unigram_budget", "title_budget", "max_entries"]
)
def test_numbers_that_spark_cannot_hold_are_refused(option):
    with pytest.raises(
        ConfigError, match=f"--{option.replace('_', '-')} is 9{{20}}: it must be an integer from [01] to "
    ):
        MetadataThresholds(**{option: int("9" * 20)})


def test_an_unknown_key_in_the_yaml_file_is_refused(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("treshold_t: 5\n")
    with pytest.raises(ConfigError, match="treshold_t"):
        parse("--config", str(file))


def test_one_value_in_the_yaml_file_is_a_list_of_one(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("archives: x.warc.gz\nmetadata: m\noutput: o\nthreshold_t: 1e3\nmax_rejects: 1e-2\n")
    _, extract, *_, sample = parse_configs([f"--config={file}"], "A job.", *ALL)
    assert (extract.archives, extract.max_rejects, sample.threshold_t) == (("x.warc.gz",), 0.01, 1000)


@pytest.mark.parametrize(
    "options",
    [
        ["--languages", "de", "en", "fr"],
        ["--languages", "de", "--languages", "en", "fr"],
        ["--languages=de", "--seed", "3", "--seed", "7", "--languages", "en", "--resume", "--languages=fr"],
    ],
)
def test_a_list_may_be_given_in_parts(options):
    output, *_, language, sample = parse("--languages", "de", *options)
    assert language.languages == ("de", "en", "fr")
    assert (output.resume, sample.seed) == ("--resume" in options, 7 if "--seed" in options else 0)


def test_a_list_in_parts_takes_the_place_of_that_of_a_file_given_before_its_last_part(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("languages: [it]\n")
    parts = (["--languages", "de"], ["--config", str(file)], ["--languages", "en"])
    assert parse(*parts[0], *parts[1], *parts[2])[3].languages == ("de", "en")
    assert parse(*parts[0], *parts[2], *parts[1])[3].languages == ("it",)


@pytest.mark.parametrize("options", [["--languages", "--languages", "en"], ["--languages", "en", "--languages"]])
def test_a_part_of_a_list_without_a_value_is_refused(options):
    with pytest.raises(ConfigError, match=r"^--languages needs a value"):
        parse(*options)


def test_missing_options_are_named_as_they_are_typed():
    with pytest.raises(ConfigError, match=r"^--output and --metadata must be given "):
        parse_configs(["--archives", "a"], "A job.", OutputConfig, ExtractConfig, MatchConfig)


@pytest.mark.parametrize(
    "options", [["a", "b", "--examples", "3"], ["--examples", "3", "a", "b"], ["--old", "a", "b", "--examples=3"]]
)
def test_two_lists_are_compared_by_their_places_too(options):
    assert parse_configs(options, "A job.", DiffConfig) == (DiffConfig("a", "b", examples=3),)


def test_what_has_no_place_is_refused():
    with pytest.raises(ConfigError, match=r"^'c' belongs to no option "):
        parse_configs(["a", "b", "c"], "A job.", DiffConfig)


@pytest.mark.parametrize(
    ("text", "threshold"), [("20k", 20_000), ("1.5M", 1_500_000), ("1e3", 1000), ("inf", float("inf"))]
)
def test_a_threshold_is_written_as_a_target_is(text, threshold):
    assert parse("--threshold-t", text)[-1].threshold_t == threshold
