"""Drawings: files of our own in the two packages' layout; rendering, the split by title, and what is left out."""

import io
import json
import os
import sys
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from metaclip_spark.clip_benchmark.data.pools import drawings
from metaclip_spark.clip_benchmark.data.pools.drawings import (
    Drawing,
    make_drawings,
    metadata_words,
    rendered,
    split_by_title,
)
from metaclip_spark.clip_benchmark.data.pools.pool_folder import DataFolder
from metaclip_spark.clip_benchmark.data.shards import read_samples
from metaclip_spark.clip_benchmark.settings.data_config import DrawingsConfig
from metaclip_spark.errors import ConfigError, CurationError, OutputExistsError

WORDS = (
    "apple",
    "bread",
    "camel",
    "dress",
    "eagle",
    "flute",
    "grape",
    "horse",
    "jewel",
    "knife",
    "lemon",
    "mango",
    "nurse",
    "olive",
    "piano",
    "quilt",
)


def svg(title, colour):
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:dc="http://purl.org/dc/elements/1.1/" width="40" height="20">'
        f"<metadata><dc:title>{title}</dc:title></metadata>"
        f'<rect width="40" height="20" fill="{colour}"/></svg>'
    )


def stamp(path, colour, size=(30, 60)):
    buffer = io.BytesIO()
    Image.new("RGBA", size, colour).save(buffer, "PNG")
    path.write_bytes(buffer.getvalue())


def fake_png(file, pixels):
    """Stands for the renderer, which need not be installed: paints what the file asks for."""
    content = file.read_text()
    if "broken" in content:
        raise OSError
    colour = content.partition('fill="')[2].partition('"')[0]
    buffer = io.BytesIO()
    Image.new("RGBA", (pixels, pixels // 2), colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def packages(tmp_path, monkeypatch):
    monkeypatch.setattr(drawings, "_svg_as_png", fake_png)
    monkeypatch.setattr(drawings, "check_renderer", lambda: None)
    clip, stamps = tmp_path / "clip", tmp_path / "stamps"
    for folder in (clip / "food" / "fruit", clip / "tools", stamps / "animals" / "birds"):
        folder.mkdir(parents=True)
    for number, word in enumerate(WORDS):
        (clip / "food" / "fruit" / f"{number}.svg").write_text(svg(f"a {word} to eat", "red"))
        stamp(stamps / "animals" / "birds" / f"{word}.png", "blue")
        (stamps / "animals" / "birds" / f"{word}.txt").write_text(f"A flying {word}.\nde.utf8=Ein {word}-Vogel.\n")
    (clip / "food" / "again.svg").write_text(svg("A apple, to EAT 2", "red"))
    (clip / "food" / "broken.svg").write_text(svg("broken one", "red"))
    (clip / "tools" / "one.svg").write_text(svg("a hammer", "green"))
    stamp(stamps / "animals" / "birds" / "silent.png", "blue")
    return DrawingsConfig(str(clip), str(stamps), drawing_pixels=32, drawing_test_titles=3)


def test_every_drawing_is_in_pool_or_test_or_has_a_reason(packages, tmp_path):
    counts = make_drawings(tmp_path / "data", packages, tmp_path / "source")
    lost = {name: number for name, number in counts.items() if name not in {"found", "pool", "test"} and number}
    assert counts["found"] == counts["pool"] + counts["test"] + sum(lost.values()) == 35
    assert lost == {"title_repeated": 1, "class_too_small": 1, "not_rendered": 1}
    data = DataFolder(tmp_path / "data")
    rows = pq.read_table(data.pairs_file).to_pylist()
    assert sum(row["language"] == "other" for row in rows) == sum("Vogel" in row["alt_text"] for row in rows) == 13
    assert all((data.folder / row["image_path"]).is_file() for row in rows)
    samples = list(read_samples(data.test_shards))
    assert Counter(sample.class_index for sample in samples) == {0: 3, 1: 3}
    assert (data.test_shards / "classnames.txt").read_text().split() == ["animals", "food"]
    texts = {row["alt_text"] for row in rows}
    assert not texts & {sample.caption for sample in samples}
    words = json.loads(data.metadata_file.read_text())
    assert "flying" in words
    assert "Vogel" not in words
    assert make_drawings(tmp_path / "data", packages, tmp_path / "source") == counts


def test_the_same_packages_give_the_same_pool(packages, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    make_drawings(first, packages, tmp_path / "source")
    make_drawings(second, packages, tmp_path / "source again")
    for name in ("pairs.parquet", "metadata.json", "test/00000.tar", "pool.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_a_seed_draws_what_is_tested_from_the_same_drawings(packages, tmp_path, monkeypatch):
    titles = {}
    for seed in (0, 1):
        folder = tmp_path / f"seed{seed}"
        make_drawings(folder, packages, tmp_path / "source", seed)
        tested = {sample.caption for sample in read_samples(DataFolder(folder).test_shards)}
        kept = {row["alt_text"] for row in pq.read_table(folder / "pairs.parquet").to_pylist() if not row["language"]}
        titles[seed] = tested, kept
        # What was rendered for the first seed, and what could not be, is not rendered again.
        monkeypatch.setattr(drawings, "rendered", None)
    assert titles[0][0] != titles[1][0]
    assert set.union(*titles[0]) == set.union(*titles[1])
    assert not titles[1][0] & titles[1][1]
    with pytest.raises(OutputExistsError, match="seed was 0 and is now 1"):
        make_drawings(tmp_path / "seed0", packages, tmp_path / "source", 1)


def test_a_title_of_the_test_split_is_in_no_class_of_the_pool(tmp_path):
    found = [Drawing(name, f"the {word}", tmp_path) for name in ("one", "two") for word in WORDS]
    # Further titles, by which the two classes' tests differ.
    found += [Drawing("two", f"one {word}", tmp_path) for word in WORDS]
    counts = Counter()
    pool, test = split_by_title(found, 3, counts)
    assert Counter(drawing.class_name for drawing in test) == {"one": 3, "two": 3}
    assert not {drawing.title for drawing in pool} & {drawing.title for drawing in test}
    assert len(pool) + len(test) + counts["title_in_test"] == len(found)
    assert counts["title_in_test"] > 0


@pytest.mark.usefixtures("packages")
def test_a_drawing_is_whole_on_white(tmp_path):
    wide = tmp_path / "wide.svg"
    wide.write_text(svg("wide", "#ff0000"))
    pixels = np.asarray(Image.open(io.BytesIO(rendered(wide, 32))))
    assert pixels.shape == (32, 32, 3)
    assert pixels[16, 0].tolist() == [255, 0, 0]
    assert pixels[2, 16].tolist() == [255, 255, 255]
    clear = tmp_path / "clear.png"
    stamp(clear, (0, 0, 0, 0))
    assert rendered(clear, 32) is None
    (tmp_path / "cut.png").write_bytes(b"\x89PNG cut")
    assert rendered(tmp_path / "cut.png", 32) is None


def renderer(folder, program):
    """Puts a renderer that is a program of the shell in a folder."""
    path = folder / "rsvg-convert"
    path.write_text(f"#!/bin/sh\n{program}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("program", "is_rendered"), [("sleep 2; cat {image}", True), ("while :; do :; done", False), ("exit 1", False)]
)
def test_what_a_drawing_may_take_is_the_processors_time(tmp_path, monkeypatch, program, is_rendered):
    stamp(tmp_path / "a.png", (255, 0, 0, 255))
    renderer(tmp_path, program.format(image=tmp_path / "a.png"))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(drawings, "_RENDER_SECONDS", 1)
    (tmp_path / "a.svg").write_text(svg("a", "#ff0000"))
    assert (rendered(tmp_path / "a.svg", 32) is not None) == is_rendered


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("kill -KILL $$", "was ended by SIGKILL at .*a.svg: see that memory suffices, and start again"),
        ("sh -c 'kill -KILL $$'; exit $?", "was ended by SIGKILL at .*a.svg: see that memory suffices"),
        ("kill -TERM $$", "was ended by SIGTERM at .*a.svg: start again"),
        ("exec /nowhere/rsvg-convert", "cannot be run: .*not found"),
    ],
)
def test_a_renderer_that_the_machine_ends_says_nothing_of_the_drawing(tmp_path, monkeypatch, program, told):
    renderer(tmp_path, program)
    (tmp_path / "a.svg").write_text("<svg/>")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(CurationError, match=f"rsvg-convert {told}"):
        rendered(tmp_path / "a.svg", 32)


def test_a_drawing_that_takes_all_memory_is_counted_and_ends_nothing(tmp_path, monkeypatch):
    renderer(tmp_path, f"exec {sys.executable} -c 'bytearray(8 << 30)'")
    (tmp_path / "a.svg").write_text("<svg/>")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert rendered(tmp_path / "a.svg", 32) is None


def test_metadata_words_are_those_of_two_captions():
    assert metadata_words(["a Red fox", "the fox of it", "red red"]) == ["fox"]


@pytest.mark.parametrize("values", [{"drawing_pixels": 8}, {"drawing_test_titles": 1}, {"openclipart": "/none/such"}])
def test_bad_options_are_refused(values):
    with pytest.raises(ConfigError):
        DrawingsConfig(**values)


def test_a_machine_without_the_packages_or_a_renderer_is_told_what_to_do(packages, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"openclipart-svg could not be fetched .* --openclipart"):
        make_drawings(tmp_path / "data", DrawingsConfig(tuxpaint=packages.tuxpaint), tmp_path / "source")
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(drawings.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match="no SVG renderer found: apt-get install librsvg2-bin"):
        make_drawings(tmp_path / "data", packages, tmp_path / "source")
    with pytest.raises(ConfigError, match="fewer than two classes"):
        monkeypatch.setattr(drawings, "check_renderer", lambda: None)
        make_drawings(
            tmp_path / "data",
            DrawingsConfig(packages.openclipart, packages.tuxpaint, drawing_test_titles=9),
            tmp_path / "source",
        )
