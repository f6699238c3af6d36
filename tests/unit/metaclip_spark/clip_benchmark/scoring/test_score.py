"""Models of both kinds are scored alike on each kind of test set, by the commands that users type."""

import json
import shutil
from dataclasses import replace

import numpy as np
import open_clip
import pytest
import torch

from metaclip_spark.clip_benchmark.evaluation.evaluate import evaluate
from metaclip_spark.clip_benchmark.scoring.score import score
from metaclip_spark.clip_benchmark.settings.scoring_config import ScoringConfig
from metaclip_spark.commands.main import main
from metaclip_spark.errors import ConfigError, InputError
from tests.support.clip_benchmark.scored_sets import (
    CLASSES,
    PICTURES,
    TEMPLATES,
    checkpoint,
    image_folder,
    in_order_of_classes,
    label,
    made_test_folder,
    open_clip_folder,
    webdataset_folder,
)
from tests.support.clip_benchmark.small_shards import picture


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return image_folder(tmp_path_factory.mktemp("data") / "images")


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return open_clip_folder(tmp_path_factory.mktemp("open_clip"))


def without_place(scores):
    return replace(scores, data="", data_kind="", data_digest="", captions=0, retrieval=None)


@pytest.mark.parametrize("variant", ["clip", "filip"])
def test_each_kind_of_test_set_gives_the_figures_of_the_grids_evaluation(tmp_path, variant):
    folder, model, config = checkpoint(tmp_path / "run", variant)
    split = made_test_folder(tmp_path / "split")
    (split / "head_classes.txt").write_text("0\n")
    (split / "tail_classes.txt").write_text("1\n")
    grid = evaluate(model, split, config.pixels, config.recipe)
    kinds = [split, image_folder(tmp_path / "images"), webdataset_folder(tmp_path / "tars")]
    found = [score(ScoringConfig(str(kind), str(folder), threads=1)) for kind in kinds]
    assert [without_place(scores) for scores in found] == [without_place(found[0])] * 3
    assert (found[0].zero_shot.top1, found[0].zero_shot.top5) == (pytest.approx(grid.top1), pytest.approx(grid.top5))
    assert (found[0].zero_shot.mean_per_class, found[0].linear_probe) == (grid.macro_top1, grid.linear_probe)
    assert found[0].retrieval.image_to_text == grid.image_to_text
    assert found[0].retrieval.text_to_image == grid.text_to_image
    assert (found[0].found, found[0].scored, found[0].lost, found[0].prompts) == (PICTURES, PICTURES, {}, 2)
    # The folder of a run stands for its newest checkpoint.
    assert score(ScoringConfig(str(split), str(folder.parent), threads=2)) == found[0]


def test_a_model_of_open_clip_scores_as_by_open_clips_own_functions(data, weights):
    config = ScoringConfig(str(data), model="small-test-model", pretrained=str(weights), threads=1)
    found = score(config)
    model, _, view = open_clip.create_model_and_transforms("small-test-model", pretrained=str(weights))
    model.eval()
    tokenizer = open_clip.get_tokenizer("small-test-model")
    classifier = open_clip.build_zero_shot_classifier(model, tokenizer, CLASSES, TEMPLATES)
    with torch.no_grad():
        images = model.encode_image(torch.stack([view(picture(n)) for n in in_order_of_classes()]), normalize=True)
    labels = np.array([label(number) for number in in_order_of_classes()])
    right = (images @ classifier).argmax(dim=1).numpy() == labels
    assert found.zero_shot.top1 == pytest.approx(right.mean())
    assert [each.top1 for each in found.zero_shot.classes] == pytest.approx(
        [right[labels == index].mean() for index in range(len(CLASSES))]
    )
    assert 0 < found.zero_shot.top1 < 1
    assert found.retrieval is None
    prompts = data.parent / "prompts.txt"
    prompts.write_text(f"{TEMPLATES[0]}\n")
    other = score(replace(config, templates=str(prompts)))
    assert (other.model_digest, other.prompts) == (found.model_digest, 1)
    assert other.data_digest != found.data_digest


def test_captions_alone_give_retrieval_alone(tmp_path, ours):
    folder = webdataset_folder(tmp_path / "data", ("txt",))
    found = score(ScoringConfig(str(folder), str(ours[0]), threads=1))
    assert (found.zero_shot, found.linear_probe, found.captions, found.prompts) == (None, None, 2 * PICTURES, 0)
    assert 0 <= found.retrieval.image_to_text[1] <= found.retrieval.image_to_text[5] <= 1
    with pytest.raises(ConfigError, match=r"--figures zero_shot cannot be measured .* no classes: it allows retrieval"):
        score(ScoringConfig(str(folder), str(ours[0]), figures=("zero_shot",)))


def test_broken_pictures_are_counted_and_the_others_scored(tmp_path, data, ours):
    folder = tmp_path / "images"
    shutil.copytree(data, folder)
    (folder / "0_red" / "000.png").write_bytes(b"")
    content = (folder / "1_green" / "001.png").read_bytes()
    (folder / "1_green" / "001.png").write_bytes(content[: len(content) // 2])
    (folder / "1_green" / "notes.txt").write_text("x")
    found = score(ScoringConfig(str(folder), str(ours[0]), threads=1))
    assert found.lost == {"image.corrupt": 2, "other_file": 1}
    assert (found.found, found.scored) == (PICTURES + 1, PICTURES - 2)
    assert [each.items for each in found.zero_shot.classes] == [5, 5, 6, 6]
    for file in (folder / "0_red").iterdir():
        file.write_bytes(b"x")
    with pytest.raises(InputError, match=r"the class 'red' \(number 0\) has no picture"):
        score(ScoringConfig(str(folder), str(ours[0])))


def test_the_command_shows_a_table_and_writes_json(tmp_path, data, ours, capsys):
    output = tmp_path / "new" / "scores.json"
    options = ["evaluate-clip", "--data", str(data), "--checkpoint", str(ours[0]), "--output", str(output)]
    assert main(options) == 0
    shown = capsys.readouterr().out
    assert "24 items -> 24 pictures scored" in shown
    assert "zero-shot top-1" in shown and "linear probe top-1" in shown and "recall" not in shown
    written = json.loads(output.read_text())
    assert written["settings"]["data"] == str(data)
    assert written["zero_shot"]["classes"][1]["name"] == "green"
    assert written["model_digest"] == score(ScoringConfig(str(data), str(ours[0]))).model_digest
    assert main([*options, "--figures", "zero_shot"]) == 0
    again = json.loads(output.read_text())
    assert again["linear_probe"] is None
    assert again["zero_shot"] == written["zero_shot"]


def last_line(capsys, *options):
    code = main(["evaluate-clip", *map(str, options)])
    lines = capsys.readouterr().err.strip().splitlines()
    return code, lines[-1]


def test_a_gpu_whose_memory_is_full_is_one_line(data, ours, capsys, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has")

    monkeypatch.setattr(type(ours[1]), "encode_image", full)
    code, line = last_line(capsys, "--data", data, "--checkpoint", ours[0])
    assert (code, "the GPU's memory is full (Tried to allocate 2.00 GiB): wait until" in line) == (2, True), line


def test_a_model_that_open_clip_does_not_know_or_would_fetch_is_one_line(data, weights, capsys):
    for options, message in [
        (("--model", "ViT-B-33", "--pretrained", weights), "open_clip knows no such model: did you mean ViT-B-32?"),
        (("--model", "zzz", "--pretrained", weights), "open_clip knows no such model: it knows"),
        (("--model", "ViT-B-32", "--pretrained", "openai"), "names weights that would be downloaded: fetch them"),
        (("--model", "ViT-B-32", "--pretrained", "no.pt"), "--pretrained no.pt is not a file"),
        (("--model", "ViT-B-32"), "--model ViT-B-32 needs --pretrained"),
        (("--model", "hf-hub:a/b", "--pretrained", weights), "would be downloaded: fetch it"),
        (("--model", "ViT-B-16-SigLIP", "--pretrained", weights), "nothing is downloaded"),
        (("--model", "xlm-roberta-base-ViT-B-32", "--pretrained", weights), "nothing is downloaded"),
        (("--model", "ViT-B-32", "--pretrained", weights), "cannot be loaded as ViT-B-32"),
        (("--model", f"local-dir:{data}"), "cannot be loaded as local-dir:"),
        (("--model", "local-dir:x", "--pretrained", weights), "goes with a name for --model"),
        ((), "give either --checkpoint, a folder of ours, or --model"),
        (("--checkpoint", "a", "--model", "b"), "give either --checkpoint"),
        (("--checkpoint", "a", "--output", "x.txt"), "must be a file whose name ends with .json"),
        (("--checkpoint", "a", "--device", "cuda"), "finds no GPU: give cpu"),
    ]:
        code, line = last_line(capsys, "--data", data, *options)
        assert code == 2, line
        assert message in line


class Harm:
    def __reduce__(self):
        return (print, ("code ran",))


def test_damaged_weights_are_one_line_and_run_no_code(tmp_path, data, weights, capsys):
    harmful = tmp_path / "harmful.pt"
    torch.save({"state_dict": Harm()}, harmful)
    cut = tmp_path / "cut.pt"
    cut.write_bytes(weights.read_bytes()[:1000])
    empty = tmp_path / "empty.pt"
    torch.save({}, empty)
    for file in (harmful, cut, empty):
        code = main(["evaluate-clip", "--data", str(data), "--model", "small-test-model", "--pretrained", str(file)])
        told = capsys.readouterr()
        assert code == 2
        assert f"{file} cannot be loaded as small-test-model" in told.err
        assert "code ran" not in told.out


def changed(folder, target, change):
    shutil.copytree(folder, target)
    saved = torch.load(target / "model.pt", weights_only=True)
    change(saved)
    torch.save(saved, target / "model.pt")
    return target


def test_a_checkpoint_of_another_size_or_version_or_a_truncated_one_is_one_line(tmp_path, data, ours, capsys):
    other_size = changed(ours[0], tmp_path / "size", lambda saved: saved["config"].update(model_size="tiny"))
    older = changed(ours[0], tmp_path / "older", lambda saved: saved["config"].pop("variant"))
    newer = changed(ours[0], tmp_path / "newer", lambda saved: saved["config"].update(attention="linear"))
    unknown = changed(ours[0], tmp_path / "unknown", lambda saved: saved["config"].update(variant="blip"))
    cut = changed(ours[0], tmp_path / "cut", lambda saved: saved.update(step=2))
    (cut / "model.pt").write_bytes((cut / "model.pt").read_bytes()[:5000])
    for folder, message in [
        (other_size, "does not fit its own configuration"),
        (older, "was saved by another version of metaclip-spark"),
        (newer, "was saved by another version of metaclip-spark"),
        (unknown, "was saved by another version of metaclip-spark"),
        (cut, "is damaged"),
        (tmp_path / "none", "does not exist: give the folder of a checkpoint"),
    ]:
        code, line = last_line(capsys, "--data", data, "--checkpoint", folder)
        assert (code, message in line) == (2, True), line
