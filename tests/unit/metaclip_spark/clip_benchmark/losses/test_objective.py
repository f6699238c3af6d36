"""A step's terms are the slow losses of the right views, texts, heads and scales."""

import math

import numpy as np
import pytest
import torch

from metaclip_spark.clip_benchmark.losses.objective import Inputs
from metaclip_spark.clip_benchmark.settings.variants import PRESETS, VARIANTS
from metaclip_spark.clip_benchmark.training.processes import TrainingProcess
from metaclip_spark.clip_benchmark.training.train import TrainingRun, inputs_of
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

    def tokens(self):
        image, text = (views[0] for views in self.contrasted())
        patches, words = array(self.model.dense_image(image.tokens)), array(self.model.dense_text(text.tokens))
        valid = text.valid.numpy() if self.preset == "clean" else np.ones(words.shape[:2], bool)
        whole = np.ones(patches.shape[:2], bool)
        chosen_words = slow.selected(words, patches, valid, whole, TOPK)
        chosen_patches = slow.selected(patches, words, whole, valid, TOPK)
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
        run.queue.samples.fill_(1)
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
