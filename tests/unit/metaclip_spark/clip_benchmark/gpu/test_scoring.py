"""A model is scored on a GPU as on the CPU."""

import pytest
import torch

from metaclip_spark.clip_benchmark.evaluation import metrics
from metaclip_spark.clip_benchmark.scoring.score import score
from metaclip_spark.clip_benchmark.settings.scoring_config import ScoringConfig
from tests.support.clip_benchmark.scored_sets import PICTURES, checkpoint, made_test_folder


@pytest.mark.parametrize("variant", ["clip", "filip"])
def test_scores_are_those_of_the_cpu(tmp_path, monkeypatch, variant):
    torch.set_float32_matmul_precision("highest")
    monkeypatch.setattr(metrics, "_SMALL_PROBE", 0)
    data, (folder, _, _) = made_test_folder(tmp_path / "tests"), checkpoint(tmp_path / "run", variant)
    on_cpu, on_gpu = (score(ScoringConfig(str(data), str(folder), device=device)) for device in ("cpu", "cuda"))
    # A tie within the rounding of one device may be none on the other.
    allowed = 1.5 / PICTURES
    assert on_gpu.zero_shot.top1 == pytest.approx(on_cpu.zero_shot.top1, abs=allowed)
    assert on_gpu.linear_probe == pytest.approx(on_cpu.linear_probe, abs=2 * allowed)
    for k, share in on_cpu.retrieval.image_to_text.items():
        assert on_gpu.retrieval.image_to_text[k] == pytest.approx(share, abs=allowed)
    assert on_gpu.data_digest == on_cpu.data_digest
