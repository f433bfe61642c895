"""A tiny GroundingDINO and a tiny Segment Anything with random weights, in the formats of the published ones."""

from pathlib import Path
from unittest import mock

import torch

import train_grounding
import train_segmentation

GROUNDING = {
    "backbone": {"embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "window_size": 7},
    "dec_layers": 1,
    "dim_feedforward": 64,
    "num_queries": 50,
    "num_feature_levels": 4,
    "fusion_droppath": 0.1,
    "size": 256,
    "longest": 512,
}
BERT = {"hidden_size": 32, "intermediate_size": 64}
SEGMENTATION = {
    "image_size": 256,
    "patch_size": 16,
    "window_size": 7,
    "width": 32,
    "encoder": {"embed_dim": 48, "depth": 2, "num_heads": 2, "global_attn_indexes": [1]},
    "decoder": {"depth": 2, "mlp_dim": 64, "num_heads": 2},
}


def save(folder: Path) -> None:
    """grounding/ and segmentation/ as their trainings write them."""
    with (
        torch.random.fork_rng(),
        mock.patch.dict(train_grounding.GROUNDING, GROUNDING),
        mock.patch.dict(train_grounding.BERT, BERT),
        mock.patch.dict(train_segmentation.SEGMENTATION, SEGMENTATION),
    ):
        for name, script in {"grounding": train_grounding, "segmentation": train_segmentation}.items():
            torch.manual_seed(0)
            script.save(script.build(), folder / name)
