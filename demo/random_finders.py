"""Write a tiny GroundingDINO and a tiny Segment Anything with random weights, in the formats of the published ones.

They show that the way from words to masks works from end to end; what they find means nothing. Trained models of the
same formats take their places.

    python demo/random_finders.py [--out demo/models] [--seed 0]
"""

import argparse
import json
import string
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from clevam import detector, segmenter

# GroundingDINO's own settings (its SwinT-OGC configuration), but for the sizes. Its width is 256 whatever the settings.
GROUNDING = {
    "backbone": {"embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "window_size": 7},
    "position_embedding": "sine",
    "pe_temperatureH": 20,
    "pe_temperatureW": 20,
    "return_interm_indices": [1, 2, 3],
    "backbone_freeze_keywords": None,
    "enc_layers": 1,
    "dec_layers": 1,
    "pre_norm": False,
    "dim_feedforward": 64,
    "hidden_dim": 256,
    "dropout": 0.0,
    "nheads": 8,
    "num_queries": 50,
    "query_dim": 4,
    "num_patterns": 0,
    "num_feature_levels": 4,
    "enc_n_points": 4,
    "dec_n_points": 4,
    "two_stage_type": "standard",
    "two_stage_bbox_embed_share": False,
    "two_stage_class_embed_share": False,
    "transformer_activation": "relu",
    "dec_pred_bbox_embed_share": True,
    "embed_init_tgt": True,
    "max_text_len": 256,
    "use_text_enhancer": True,
    "use_fusion_layer": True,
    "use_text_cross_attention": True,
    "text_dropout": 0.0,
    "fusion_dropout": 0.0,
    "fusion_droppath": 0.1,
    "sub_sentence_present": True,
    "size": 256,
    "longest": 512,
}

# BERT's special tokens, the two that separate phrases, and letters, alone and inside of a word: any word can be read.
LETTERS = [*string.ascii_lowercase, *string.digits, *"'-,"]
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
BERT = {
    "model_type": "bert",
    "vocab_size": len(TOKENS),
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 256,
}

SEGMENTATION = {
    "image_size": 256,
    "patch_size": 16,
    "window_size": 7,
    "width": 32,
    "encoder": {"embed_dim": 48, "depth": 2, "num_heads": 2, "global_attn_indexes": [1]},
    "decoder": {"depth": 2, "mlp_dim": 64, "num_heads": 2},
}


def save_grounding(folder: Path, seed: int) -> None:
    """weights.pth, config.json and text/ of a GroundingDINO."""
    text = folder / "text"
    text.mkdir(parents=True, exist_ok=True)
    (text / "vocab.txt").write_text("\n".join([*TOKENS, ""]))
    write_json(text / "config.json", BERT)
    write_json(text / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "do_lower_case": True})
    write_json(folder / "config.json", GROUNDING)
    torch.manual_seed(seed)
    torch.save({"model": halved(detector.build(GROUNDING, *detector.read_text(str(text))))}, folder / "weights.pth")


def save_segmentation(folder: Path, seed: int) -> None:
    """weights.pth, and weights.json beside it, of a Segment Anything."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "weights.json", SEGMENTATION)
    torch.manual_seed(seed)
    torch.save(halved(segmenter.build(folder / "weights.json")), folder / "weights.pth")


def halved(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The state dict in half precision."""
    return {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}


def write_json(path: Path, data: dict) -> None:
    path.write_text(json.dumps(data, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "models")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    save_grounding(arguments.out / "grounding", arguments.seed)
    save_segmentation(arguments.out / "segmentation", arguments.seed)


if __name__ == "__main__":
    main()
