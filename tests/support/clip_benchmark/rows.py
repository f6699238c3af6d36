"""Rows of a grid whose figures are made up by a formula. Used by the tests of verdicts and page."""

from dataclasses import asdict

GAIN = {"clip": 0.0, "slip": 0.02, "filip": 0.05, "declip": 0.1, "defilip": 0.12}


def made_up_row(cell, noise=0.0, **figures):
    """Gives a row as a finished cell has it."""
    top1 = 0.3 + GAIN[cell.variant] * (1 if cell.image_tower == "vit" else -1) + 0.01 * cell.seed + noise
    row = {
        **asdict(cell),
        "cell": cell.name,
        "settings_digest": "one",
        "items": 480,
        "classes": 24,
        "prompts": 6,
        "top1": top1,
        "top1_lower": top1 - 0.03,
        "top5": 0.8,
        "macro_head": top1 + 0.2,
        "macro_tail": top1 - 0.2,
        "linear_probe": 0.7,
        "data_pairs": 1800,
        "steps": 300,
        "samples_per_step": 64,
        "warmup_steps": 20,
        "samples_seen": 19200,
        "learning_rate": 1e-3,
        "weight_decay": 0.1,
        "view_set": "distorting",
        "image_views": ["weak"],
        "contrasted_texts": ["caption"],
        "log_scale_bounds": [0.0, 4.605170185988092],
        "batch_norm": "of each process",
        "image_pixels": 32,
        "precision": "float32",
        "processes": 1,
        "processor": "a processor",
        "torch": "2.9.0",
        "threads": 1,
        "view_maker": "loader",
        "seconds": 60.0,
        "samples_per_second": 300.0,
        "losses": {"total": [4.2 - 0.01 * step for step in range(100)]},
    }
    recalls = {f"{way}_recall_{k}": 0.02 * k for way in ("image_to_text", "text_to_image") for k in (1, 5)}
    return {**row, **recalls, **figures}
