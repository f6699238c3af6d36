"""A step's terms are the slow losses of the right views, texts, heads and scales."""

import math

import numpy as np
import pytest
import torch

from metaclip_spark.clip_benchmark.losses.objective import Inputs
from metaclip_spark.clip_benchmark.settings import training_config
from metaclip_spark.clip_benchmark.settings.training_config import IMAGE_TOWERS
from metaclip_spark.clip_benchmark.settings.variants import PRESETS, VARIANTS, Variant
from metaclip_spark.clip_benchmark.training.checkpoints import load_model
from metaclip_spark.clip_benchmark.training.processes import TrainingProcess
from metaclip_spark.clip_benchmark.training.train import TrainingRun, inputs_of, train
from tests.support.clip_benchmark import slow_losses as slow

WEAK_AND_CAPTION = {"clip", "slip", "filip"}
LARGE_SCALE = 150.0
TOPK = 10
"""More than the captions have words, so that padding is chosen, too."""


class Step:
    """What a variant's terms must be, from the encoders' outputs alone."""

    def __init__(self, run, inputs, preset):
        self.model, self.queue, self.preset, self.variant = run.objective.model, run.queue, preset, run.config.variant
        self.labels = inputs.labels
        self.topk = run.config.filip_topk
        self.images = [self.model.encode_image(view) for view in inputs.images]
        self.texts = {kind: self.model.encode_text(ids) for kind, ids in inputs.texts.items()}

    def contrasted(self):
        if self.variant in WEAK_AND_CAPTION:
            text = "masked" if (self.variant, self.preset) == ("filip", "published") else "caption"
            return self.images[:1], [self.texts[text]]
        first = "caption" if self.preset == "clean" else "masked"
        return self.images, [self.texts[first], self.texts["edited"]]

    def pairs(self):
        images, texts = self.contrasted()
        return [
            (slow.unit(array(image.embedding)), slow.unit(array(text.embedding))) for image in images for text in texts
        ]

    def scale(self):
        capped = self.preset == "published" and self.variant in {"clip", "declip", "defilip"}
        return 100.0 if capped else LARGE_SCALE

    def contrast(self):
        return np.mean([slow.image_text(image, text, image, text, self.scale(), 0) for image, text in self.pairs()])

    def neighbours(self):
        bank = array(self.queue.embeddings)
        nearest = [bank[np.argmax(text @ bank.T, axis=1)] for _, text in self.pairs()]
        images = [image for image, _ in self.pairs()]
        return np.mean([slow.one_way(*pair, self.scale(), 0) for pair in zip(images, nearest, strict=True)])

    def simclr(self):
        first, second = (slow.unit(array(self.model.simclr_head(view.pooled))) for view in self.images[1:])
        return slow.nt_xent(first, second, first, second, 0.1, 0)

    def simsiam(self):
        projected = [self.model.simsiam_projector(view.embedding) for view in self.images]
        predicted = [array(self.model.simsiam_predictor(view)) for view in projected]
        return slow.simsiam(predicted, [array(view) for view in projected])

    def masked_words(self):
        asked = self.labels != -100
        logits = self.model.word_head(self.texts["masked"].tokens)[asked]
        return slow.masked_words(array(logits), self.labels[asked].numpy())

    def counts(self, valid):
        if self.topk >= 1:
            return self.topk
        return [max(3, math.ceil(self.topk * count)) for count in valid.sum(axis=1)]

    def tokens(self):
        image, text = (views[0] for views in self.contrasted())
        patches, words = array(self.model.dense_image(image.tokens)), array(self.model.dense_text(text.tokens))
        valid = text.valid.numpy() if self.preset == "clean" else np.ones(words.shape[:2], bool)
        whole = np.ones(patches.shape[:2], bool)
        chosen_words = slow.selected(words, patches, valid, whole, self.counts(valid))
        chosen_patches = slow.selected(patches, words, whole, valid, self.counts(whole))
        to_text = slow.token_direction(patches, whole, words, valid, chosen_words, LARGE_SCALE, 0)
        to_image = slow.token_direction(words, valid, patches, whole, chosen_patches, LARGE_SCALE, 0)
        return (to_text + to_image) / 2


def array(tensor):
    return tensor.detach().double().numpy()


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_terms_equal_the_slow_losses(config, variant, preset):
    run = TrainingRun(config(variant, preset=preset, batch_size=5, filip_topk=TOPK), TrainingProcess(0, "cpu"))
    model = run.objective.model.double()
    drawn = inputs_of(run.batches[0], "cpu")
    inputs = Inputs(tuple(view.double() for view in drawn.images), drawn.texts, drawn.labels, drawn.samples)
    if run.queue:
        run.queue.entered = len(run.queue.samples)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("logit_scale"):
                parameter.fill_(math.log(LARGE_SCALE))
        terms = run.objective(inputs)
        step = Step(run, inputs, preset)
    assert set(terms) == set(VARIANTS[variant].terms())
    for name, value in terms.items():
        assert float(value) == pytest.approx(getattr(step, name)(), rel=1e-6), name
    weighted = sum(VARIANTS[variant].weight(name) * float(value) for name, value in terms.items())
    assert float(run.objective.weighted_sum(terms)) == pytest.approx(weighted)


def test_a_share_selects_of_each_sample_s_valid_tokens(config, monkeypatch):
    monkeypatch.setattr(training_config, "FEWEST_SELECTED", 3)
    run = TrainingRun(config("filip", batch_size=5, filip_topk=0.6), TrainingProcess(0, "cpu"))
    run.objective.model.double()
    drawn = inputs_of(run.batches[0], "cpu")
    captions = ["a bar", "a red bar", "one red bar here", "bars", "the blue bar stands at the left of a red one"]
    texts = {"caption": run.objective.model.tokenize(captions)}
    inputs = Inputs(tuple(view.double() for view in drawn.images), texts, None, drawn.samples)
    with torch.no_grad():
        run.objective.model.token_logit_scale.fill_(math.log(LARGE_SCALE))
        terms = run.objective(inputs)
        step = Step(run, inputs, "clean")
    assert len(set(step.counts(step.texts["caption"].valid.numpy()))) > 1
    assert float(terms["tokens"]) == pytest.approx(step.tokens(), rel=1e-6)


@pytest.mark.parametrize("tower", IMAGE_TOWERS)
def test_slip_of_no_weight_is_clip_in_training_and_in_evaluation(config, monkeypatch, tmp_path, tower):
    """A weight so small that it is lost in every sum, while the term and its views are computed."""
    monkeypatch.setitem(VARIANTS, "slip", Variant(contrast=1.0, simclr=1e-30))
    models, losses = [], []
    for variant in ("clip", "slip"):
        result = train(config(variant, image_tower=tower, output=str(tmp_path / variant)))
        losses.append(result.losses["contrast"])
        models.append(load_model(result.checkpoint)[0].state_dict())
    assert losses[0] == losses[1]
    assert all(torch.equal(value, models[1][name]) for name, value in models[0].items())


def test_in_the_published_preset_each_view_enters_the_running_statistics(config):
    statistics = []
    for preset in PRESETS:
        run = TrainingRun(config("slip", preset=preset, image_tower="resnet"), TrainingProcess(0, "cpu"))
        run.objective(inputs_of(run.batches[0], "cpu"))
        statistics.append(int(run.objective.model.image_tower.body.bn1.num_batches_tracked))
    assert statistics == [1, 3]


def test_the_views_are_those_of_the_recipe(config):
    views = {
        (variant, preset): config(variant, preset=preset).recipe.image_views
        for variant in VARIANTS
        for preset in PRESETS
    }
    assert {case[0] for case, kinds in views.items() if kinds == ("weak", "strong", "strong")} == {"slip"}
    assert views["clip", "clean"] == views["filip", "clean"] == views["clip", "published"] == ("weak",)
    assert views["declip", "clean"] == views["defilip", "clean"] == ("weak", "strong")
    assert views["declip", "published"] == views["defilip", "published"] == ("strong", "strong")
    assert views["filip", "published"] == ("strong",)


def test_texts_enter_the_queue_after_they_looked_into_it(config):
    run = TrainingRun(config("declip", preset="published", batch_size=5), TrainingProcess(0, "cpu"))
    start = run.queue.embeddings.clone()
    batch = run.batches[0]
    run.train_step(batch)
    assert run.counts["neighbours"] == 10
    assert run.counts["stale"] == 0
    # The edited captions first, then the others; six start values are left.
    assert run.queue.samples[:10].tolist() == batch.samples.tolist() * 2
    assert torch.equal(run.queue.embeddings[10:], start[10:])
    assert run.queue.next_index == 10
    run.queue.samples.fill_(int(batch.samples[0]))
    run.train_step(batch)
    assert run.counts["stale"] == 2
