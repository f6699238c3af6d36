from dataclasses import dataclass
from pathlib import Path

import pytest

from metaclip_spark.config.curation import ExtractConfig, OutputConfig
from metaclip_spark.config.inspection import ExplainConfig
from metaclip_spark.errors import ConfigError, OutputExistsError
from metaclip_spark.library.arguments import arguments_named, configurations


@dataclass(frozen=True)
class Example:
    several: tuple[str, ...] = ()
    one: str = "default"
    number: int = 5
    flag: bool = False
    page_size: int = 1


def test_each_class_gets_its_own_arguments():
    output, extract = configurations(
        "f", {"output": Path("run"), "archives": [Path("a.warc"), "b.warc"], "buckets": 2}, OutputConfig, ExtractConfig
    )
    assert output == OutputConfig(output="run")
    assert extract == ExtractConfig(archives=("a.warc", "b.warc"), buckets=2)


@pytest.mark.parametrize("given", ["x", Path("x"), ["x"], ("x",), [Path("x")]])
def test_one_value_may_stand_for_several(given):
    assert configurations("f", {"several": given}, Example) == (Example(several=("x",)),)


def test_the_home_folder_is_known(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    given = {"output": "~/run", "archives": ["~/a.warc", "s3://b/~"]}
    output, extract = configurations("f", given, OutputConfig, ExtractConfig)
    assert output.output == f"{tmp_path}/run"
    assert extract.archives == (f"{tmp_path}/a.warc", "s3://b/~")
    (question,) = configurations("explain", {"run": "~/run", "text": "~ a dog"}, ExplainConfig)
    assert (question.run, question.text) == (f"{tmp_path}/run", "~ a dog")
    with pytest.raises(ConfigError, match=r"^--output is '~no-such-user/x', but there is no such home folder"):
        configurations("f", {"output": "~no-such-user/x"}, OutputConfig)


def test_none_stands_for_what_is_not_given():
    assert configurations("f", {"several": None, "one": None, "number": 0}, Example) == (Example(number=0),)


def test_an_unknown_argument_is_refused_with_the_nearest_one():
    with pytest.raises(ConfigError, match=r"^f has no argument 'numbre': did you mean number\?$"):
        configurations("f", {"numbre": 1}, Example)
    with pytest.raises(ConfigError, match=r"^f has no argument 'zzz': see the configuration page"):
        configurations("f", {"zzz": 1}, Example)


def test_messages_name_arguments_as_they_were_typed():
    message = r"^give flag=True, or page_size \(not -1\) or --Other$"
    with pytest.raises(OutputExistsError, match=message) as caught, arguments_named(Example):
        raise OutputExistsError("give --flag, or --page-size (not -1) or --Other")
    assert type(caught.value) is OutputExistsError


def test_other_messages_stay():
    error = ConfigError("no option in it")
    with pytest.raises(ConfigError) as caught, arguments_named(Example):
        raise error
    assert caught.value is error
