"""An exported model gives open_clip's users what ours gives: the same outputs, scores and predictions."""

import json
from pathlib import Path

import open_clip
import pytest
import torch
from torch.nn.functional import normalize

from metaclip_spark.clip_benchmark.scoring.score import score
from metaclip_spark.clip_benchmark.settings.scoring_config import ScoringConfig
from metaclip_spark.commands.main import main
from tests.support.clip_benchmark.scored_sets import (
    CLASSES,
    PICTURES,
    TEMPLATES,
    checkpoint,
    image_folder,
    in_order_of_classes,
    label,
)
from tests.support.clip_benchmark.small_shards import picture

EXPORTED = [
    *((variant, tower, "clean") for variant in ("clip", "slip", "declip", "defilip") for tower in ("vit", "resnet")),
    ("clip", "resnet", "published"),
    ("slip", "resnet", "published"),
    ("clip", "vit", "published"),
]


@pytest.mark.parametrize(("variant", "tower", "preset"), EXPORTED)
def test_open_clip_loads_an_exported_model_with_equal_outputs_and_scores(tmp_path, capsys, variant, tower, preset):
    folder, model, config = checkpoint(tmp_path / "run", variant, image_tower=tower, preset=preset)
    exported = tmp_path / "exported"
    assert main(["export-clip", "--checkpoint", str(folder), "--output", str(exported)]) == 0
    assert f"open_clip.create_model_and_transforms('local-dir:{exported}') loads it" in capsys.readouterr().out
    theirs, _, view = open_clip.create_model_and_transforms(f"local-dir:{exported}")
    theirs.eval()
    images = torch.randn(3, 3, config.pixels, config.pixels)
    texts = ["a red bar", "a <mask> bar", "word " * 100, ""]
    ids = open_clip.get_tokenizer(f"local-dir:{exported}")(texts)
    assert torch.equal(ids, model.tokenize(texts))
    with torch.no_grad():
        for their, our in (
            (theirs.encode_image(images), model.encode_image(images).embedding),
            (theirs.encode_text(ids), model.encode_text(ids).embedding),
        ):
            assert float((their - our).abs().max() / our.abs().max()) <= 1e-5
    assert view.transforms[0].size == config.pixels


@pytest.mark.parametrize("tower", ["vit", "resnet"])
def test_an_exported_model_scores_the_same_through_open_clip(tmp_path, tower):
    data = image_folder(tmp_path / "data")
    folder, _, _ = checkpoint(tmp_path / "run", image_tower=tower)
    exported = tmp_path / "exported"
    assert main(["export-clip", "--checkpoint", str(tmp_path / "run"), "--output", str(exported)]) == 0
    ours = score(ScoringConfig(str(data), str(folder), threads=1))
    name = f"local-dir:{exported}"
    here = score(ScoringConfig(str(data), model=name, threads=1))
    theirs, _, view = open_clip.create_model_and_transforms(name)
    classifier = open_clip.build_zero_shot_classifier(theirs.eval(), open_clip.get_tokenizer(name), CLASSES, TEMPLATES)
    with torch.no_grad():
        images = theirs.encode_image(torch.stack([view(picture(n)) for n in in_order_of_classes()]))
    found = (normalize(images, dim=-1) @ classifier).argmax(dim=1).tolist()
    right = [place == label(number) for place, number in zip(found, in_order_of_classes(), strict=True)]
    assert sum(right) / PICTURES == ours.zero_shot.top1 == here.zero_shot.top1
    assert here.zero_shot == ours.zero_shot
    assert here.data_digest == ours.data_digest


def test_filip_is_refused_with_the_reason(tmp_path, capsys):
    folder, _, _ = checkpoint(tmp_path / "run", "filip")
    assert main(["export-clip", "--checkpoint", str(folder), "--output", str(tmp_path / "out")]) == 2
    assert (
        "is a checkpoint of filip, which compares tokens: its global embedding is not trained"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()


def test_an_output_that_holds_something_is_refused(tmp_path, capsys):
    folder, _, _ = checkpoint(tmp_path / "run")
    options = ["export-clip", "--checkpoint", str(folder), "--output", str(tmp_path / "out")]
    assert main(options) == 0
    assert main(options) == 2
    assert "is not empty: give --overwrite" in capsys.readouterr().err
    (tmp_path / "out" / "open_clip_config.json").write_text("{}")
    assert main([*options, "--overwrite"]) == 0
    assert "model_cfg" in json.loads((tmp_path / "out" / "open_clip_config.json").read_text())
    (tmp_path / "out" / "mine.txt").write_text("x")
    assert main([*options, "--overwrite"]) == 2
    assert "holds mine.txt, which is no part of an exported model" in capsys.readouterr().err
    assert main([*options[:-1], str(tmp_path / "out" / "mine.txt")]) == 2
    assert "is a file: give a folder" in capsys.readouterr().err


def test_the_working_directory_can_be_the_output(tmp_path, monkeypatch):
    folder, _, _ = checkpoint(tmp_path / "run")
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    assert main(["export-clip", "--checkpoint", str(folder), "--output", "."]) == 0
    assert sorted(path.name for path in Path().iterdir()) == ["open_clip_config.json", "open_clip_model.safetensors"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "run"]
