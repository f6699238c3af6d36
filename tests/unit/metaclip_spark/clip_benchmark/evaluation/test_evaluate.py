"""Evaluation against slow NumPy versions and brute force, on a model whose features are numbers drawn by lot."""

import math
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from metaclip_spark.clip_benchmark.augmentation.image import evaluation_view
from metaclip_spark.clip_benchmark.data.pools.shapes import make_shapes
from metaclip_spark.clip_benchmark.evaluation import metrics
from metaclip_spark.clip_benchmark.evaluation.evaluate import (
    TestSplit,
    class_sides,
    evaluate,
    evaluating,
    image_side,
    load_test_split,
    text_side,
)
from metaclip_spark.clip_benchmark.evaluation.metrics import images_to_texts, linear_probe, texts_to_images
from metaclip_spark.clip_benchmark.evaluation.streamed import score_classes
from metaclip_spark.clip_benchmark.model.encoders import ContrastiveModel
from metaclip_spark.clip_benchmark.model.towers import ImageFeatures, TextFeatures
from metaclip_spark.clip_benchmark.settings.data_config import ShapesConfig
from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.clip_benchmark.settings.variants import recipe_of
from metaclip_spark.errors import InputError

WORDS = 7
CLASSES = ("star", "striped moon", "house")
TEMPLATES = ("a {}", "one more {} here", "the {}")


class Drawn(nn.Module):
    """Stands for a model: each word and each image has features drawn by lot."""

    def __init__(self, *, scores_tokens):
        super().__init__()
        self.scores_tokens = scores_tokens
        self.normalisation = nn.BatchNorm1d(3)
        self.frozen = nn.Linear(2, 2).eval()
        self.words = {}

    def tokenize(self, texts):
        rows = [[self.words.setdefault(word, len(self.words) + 1) for word in text.split()] for text in texts]
        return torch.tensor([(row + [0] * WORDS)[:WORDS] for row in rows])

    def encode_text(self, ids):
        generator = np.random.default_rng(5)
        table = torch.tensor(generator.normal(size=(60, 4)), dtype=torch.float32)
        places = torch.tensor(generator.normal(size=(WORDS, 4)), dtype=torch.float32)
        tokens = table[ids] + places
        return TextFeatures(tokens.sum(dim=1), tokens, ids != 0)

    def encode_image(self, images):
        tokens = images.flatten(1).reshape(len(images), -1, 4)
        return ImageFeatures(tokens.sum(dim=1), tokens.mean(dim=1), tokens)

    def dense_text(self, tokens):
        return nn.functional.normalize(tokens, dim=-1)

    dense_image = dense_text


@pytest.fixture
def split():
    images = torch.tensor(np.random.default_rng(1).normal(size=(9, 3, 4, 2)), dtype=torch.float32)
    captions = ("a star", "the moon", "a star", "one house here", "a b c d e f g", "house", "x", "y z", "striped moon")
    return TestSplit(images, captions, torch.tensor([0, 1, 0, 2, 1, 2, 0, 1, 1]), CLASSES, TEMPLATES, (0,), (1, 2))


def slow_unit(vector):
    return vector / math.sqrt(sum(float(x) ** 2 for x in vector))


def slow_tokens(model, text, masks_padding):
    ids = model.tokenize([text])
    tokens = model.encode_text(ids).tokens[0].numpy()
    keep = [position for position in range(WORDS) if ids[0, position] != 0 or not masks_padding]
    return {position: slow_unit(tokens[position]) for position in keep}


def slow_patches(images, number):
    return [slow_unit(patch) for patch in images[number].numpy().reshape(-1, 4)]


def test_global_zero_shot_equals_the_slow_version(split):
    model = Drawn(scores_tokens=False)
    classes = class_sides(model, CLASSES, TEMPLATES, recipe_of("clean", "clip"), "cpu")
    found = score_classes(image_side(model, split.images, "cpu")[0], classes).numpy()
    for number in range(len(split.images)):
        image = slow_unit(split.images[number].numpy().reshape(-1, 4).sum(axis=0))
        for index, name in enumerate(CLASSES):
            prompts = [model.encode_text(model.tokenize([t.format(name)])).embedding[0].numpy() for t in TEMPLATES]
            whole = slow_unit(np.mean([slow_unit(prompt) for prompt in prompts], axis=0))
            assert found[number, index] == pytest.approx(float(image @ whole), abs=1e-5)


def token_wise_scores(split, preset):
    model = Drawn(scores_tokens=True)
    images, _ = image_side(model, split.images, "cpu")
    return model, score_classes(
        images, class_sides(model, CLASSES, TEMPLATES, recipe_of(preset, "filip"), "cpu")
    ).numpy()


def test_token_wise_zero_shot_is_the_mean_over_the_prompts_of_their_similarities(split):
    model, found = token_wise_scores(split, "clean")
    for index, name in enumerate(CLASSES):
        prompts = [slow_tokens(model, template.format(name), masks_padding=True).values() for template in TEMPLATES]
        for number in range(len(split.images)):
            patches = slow_patches(split.images, number)
            of_prompts = [np.mean([max(float(p @ token) for token in prompt) for p in patches]) for prompt in prompts]
            assert found[number, index] == pytest.approx(np.mean(of_prompts), abs=1e-5)


def test_the_published_token_wise_zero_shot_averages_prompts_position_by_position(split):
    model, found = token_wise_scores(split, "published")
    for index, name in enumerate(CLASSES):
        prompts = [slow_tokens(model, template.format(name), masks_padding=False) for template in TEMPLATES]
        mean = [sum(prompt[position] for prompt in prompts) / len(prompts) for position in range(WORDS)]
        frobenius = math.sqrt(sum(float(x) ** 2 for row in mean for x in row))
        for number in range(len(split.images)):
            patches = slow_patches(split.images, number)
            score = np.mean([max(float(patch @ row) / frobenius for row in mean) for patch in patches])
            assert found[number, index] == pytest.approx(score, abs=1e-5)


@pytest.mark.parametrize("largest_block", [1, 2**25])
def test_token_wise_retrieval_equals_the_slow_version(split, monkeypatch, largest_block):
    monkeypatch.setattr(metrics, "_LARGEST_BLOCK", largest_block)
    model = Drawn(scores_tokens=True)
    images, _ = image_side(model, split.images, "cpu")
    texts = text_side(model, split.captions, "cpu", masks_padding=True)
    forth, back = images_to_texts(images, texts).numpy(), texts_to_images(texts, images).numpy()
    for number in range(len(split.images)):
        patches = slow_patches(split.images, number)
        for other, caption in enumerate(split.captions):
            tokens = slow_tokens(model, caption, masks_padding=True).values()
            i2t = np.mean([max(float(patch @ token) for token in tokens) for patch in patches])
            t2i = np.mean([max(float(patch @ token) for patch in patches) for token in tokens])
            assert forth[number, other] == pytest.approx(i2t, abs=1e-5)
            assert back[other, number] == pytest.approx(t2i, abs=1e-5)


def test_the_probe_learns_from_one_half_and_is_scored_on_the_other():
    labels = np.repeat([0, 1, 2], 8)
    features = np.eye(3)[labels] + np.random.default_rng(0).normal(scale=0.05, size=(24, 3))
    assert linear_probe(features, labels) == 1.0
    # Wrong labels in the second half only: learnt all the same, and scored as wrong.
    crossed = np.where(np.arange(24) % 8 >= 4, (labels + 1) % 3, labels)
    assert linear_probe(features, crossed) == linear_probe(features, crossed) <= 0.5
    assert math.isnan(linear_probe(np.eye(3), np.arange(3)))


def test_the_model_is_put_back_as_it_was():
    model = Drawn(scores_tokens=False).train()
    model.frozen.eval()
    with pytest.raises(ZeroDivisionError), evaluating(model):
        assert not any(module.training for module in model.modules())
        raise ZeroDivisionError
    assert (model.training, model.normalisation.training, model.frozen.training) == (True, True, False)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    config = ShapesConfig(pool_pairs=12, pool_classes=6, test_pictures=4)
    return make_shapes(tmp_path_factory.mktemp("shapes") / "pool", config)


def test_a_model_that_reads_the_answer_scores_one_and_each_wrong_class_costs_its_share(pool, monkeypatch):
    split = load_test_split(pool.folder / "test", evaluation_view(32))
    assert split.images.shape == (24, 3, 32, 32)
    model = ContrastiveModel(TrainingConfig(variant="clip", train_shards="x", output="x", model_size="unit"))
    named = zip(split.images, split.labels, strict=True)
    labels = {tuple(image.flatten()[:50].tolist()): int(label) for image, label in named}
    wrong = split.tail_classes[0]
    table = torch.eye(6)

    def encode_image(images):
        read = [labels[tuple(image.flatten()[:50].tolist())] for image in images]
        answers = table[[(label + 1) % 6 if label == wrong else label for label in read]]
        return ImageFeatures(answers, answers, answers[:, None])

    def encode_text(texts):
        named = [next((i for i, name in enumerate(split.classes) if name in text.split()), 0) for text in texts]
        return TextFeatures(table[named], table[named][:, None], torch.ones(len(named), 1, dtype=torch.bool))

    monkeypatch.setattr(model, "encode_image", encode_image)
    monkeypatch.setattr(model, "tokenize", Texts)
    monkeypatch.setattr(model, "encode_text", encode_text)
    found = evaluate(model, pool.folder / "test", 32, recipe_of("clean", "clip"))
    assert (found.items, found.classes, found.prompts) == (24, 6, 6)
    assert found.top1 == pytest.approx(20 / 24)
    assert found.macro_top1 == pytest.approx(5 / 6)
    assert (found.macro_head, found.macro_tail) == (1.0, pytest.approx(0.5))
    assert [label for label, right in zip(split.labels.tolist(), found.correct, strict=True) if not right] == [
        wrong
    ] * 4
    assert found.top1_lower < found.top1


class Texts(list):
    def to(self, _device):
        return self


@pytest.mark.parametrize("variant", ["clip", "filip", "defilip"])
@pytest.mark.parametrize("tower", ["vit", "resnet"])
def test_evaluation_repeats_to_the_bit_and_leaves_the_mode(pool, variant, tower):
    torch.manual_seed(0)
    config = TrainingConfig(variant=variant, train_shards="x", output="x", model_size="unit", image_tower=tower)
    model = ContrastiveModel(config).train()
    found = evaluate(model, pool.folder / "test", config.pixels, config.recipe)
    assert model.training
    assert found == evaluate(model, pool.folder / "test", config.pixels, config.recipe)
    assert 0 <= found.top1 <= found.top5 <= 1


def test_a_share_over_no_classes_is_none(pool, tmp_path):
    folder = shutil.copytree(pool.folder / "test", tmp_path / "test")
    (folder / "head_classes.txt").write_text("")
    config = TrainingConfig(variant="clip", train_shards="x", output="x", model_size="unit")
    found = evaluate(ContrastiveModel(config), folder, 32, config.recipe)
    assert found.macro_head is None
    assert 0 <= found.macro_tail <= 1


def test_a_test_split_that_lacks_something_is_refused(pool, tmp_path):
    folder = tmp_path / "test"
    shutil.copytree(pool.folder / "test", folder)
    (folder / "templates.txt").unlink()
    with pytest.raises(InputError, match=r"templates\.txt is missing"):
        load_test_split(folder, evaluation_view(32))
    shutil.copy(pool.folder / "test" / "templates.txt", folder)
    (folder / "classnames.txt").write_text("star\n")
    with pytest.raises(InputError, match=r"head_classes\.txt has the line '\d+': it must be the index of a class"):
        load_test_split(folder, evaluation_view(32))
    for part in ("head", "tail"):
        (folder / f"{part}_classes.txt").write_text("")
    with pytest.raises(InputError, match="not one of 1 classes"):
        load_test_split(folder, evaluation_view(32))
    content = (folder / "00000.tar").read_bytes()
    (folder / "00000.tar").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="make"):
        load_test_split(folder, evaluation_view(32))
