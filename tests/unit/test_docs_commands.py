"""The commands of the documentation can be copied: each is complete, and its job takes its options."""

import re

import pytest

from metaclip_spark.commands.main import VERBS
from metaclip_spark.config.command_line import parse_configs
from tests.support.doc_blocks import DOCS, block_under, blocks, commands_in, indented_commands, job_in, with_settings
from tests.support.paths import CHECKOUT

PLATFORMS = ("dataproc", "dataproc-serverless", "emr", "emr-serverless", "one-machine", "standalone", "yarn")
ANSWERED = ("Command", "Dependencies", "Messages", "Exit codes", "Sizes", "Tried")
"""The headings of each platform's page, in this order; others may stand between them."""


def commands_of(page):
    text = page.read_text("utf-8")
    return commands_in("".join([*blocks(text), indented_commands(text)]))


JOBS = {**VERBS, **{command.work.__name__: command for command in VERBS.values()}}
PAGES = [*sorted(DOCS.rglob("*.md")), CHECKOUT / "README.md"]
COMMANDS = [
    pytest.param(*job, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, command in enumerate(commands_of(page))
    if (job := job_in(command))
]


@pytest.mark.parametrize(("job", "options"), COMMANDS)
def test_a_job_takes_the_options_of_its_command(job, options):
    # Raises where it does not.
    assert parse_configs(options, "", *JOBS[job].configs)


def test_there_are_commands_to_copy():
    assert len(COMMANDS) >= 12


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platform_page_has_a_complete_command_and_the_same_answers(platform):
    page = DOCS / "deploy" / f"{platform}.md"
    text = page.read_text("utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert [heading for heading in headings if heading in ANSWERED] == list(ANSWERED)
    assert "..." not in block_under(page, "Command", "json" if platform == "emr-serverless" else "bash")
    tried = text.partition("## Tried\n")[2]
    assert tried.strip()
    where = (DOCS / "deploy" / "index.md").read_text("utf-8")
    assert f"]({platform}.md) |" in where


@pytest.mark.parametrize("mode", ["cluster", "client"])
def test_the_page_of_yarn_has_a_command_for_each_mode(mode):
    [command] = commands_in(block_under(DOCS / "deploy" / "yarn.md", f"{mode.capitalize()} mode"))
    assert f"spark-submit --master yarn --deploy-mode {mode} " in " ".join(command)
    assert job_in(command)[0] == "curate"


PAGE = """# A page

## First

~~~
none of bash
~~~

## Second

### Its part

```bash
# Not a heading
spark-submit --conf a.b=1 --conf c=2 \\
  jobs/curate.py --archives hdfs://NAMENODE/crawl/ # why
hdfs dfs -ls
```
"""


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    return path


def test_a_block_is_found_under_its_heading(page):
    submit, listing = commands_in(block_under(page, "Second"), {"NAMENODE": "127.0.0.1:8020"})
    assert job_in(submit) == ("curate", ["--archives", "hdfs://127.0.0.1:8020/crawl/"])
    assert (listing, job_in(listing)) == (["hdfs", "dfs", "-ls"], None)
    for heading in ("First", "Not a heading", "Third"):
        with pytest.raises(ValueError, match=heading):
            block_under(page, heading)
    with pytest.raises(ValueError, match="PACK"):
        commands_in(block_under(page, "Second"), {"PACK": "pack"})


def test_settings_take_the_place_of_those_of_the_command():
    command = ["spark-submit", "--conf", "a.b=1", "--conf", "c=2", "job.py", "--conf", "a.b=7"]
    changed = with_settings(command, {"a.b": "3", "d": "4"})
    assert changed == ["spark-submit", "--conf", "d=4", "--conf", "a.b=3", *command[3:]]
