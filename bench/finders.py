"""A GroundingDINO (Swin-T) and a Segment Anything (vit_b) with random weights, of the published sizes and formats.

<prefix of the masks environment>/bin/python bench/finders.py FOLDER
"""

import json
import shutil
import sys
from pathlib import Path

import groundingdino
import torch
from segment_anything import sam_model_registry

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "demo")]

from clevam import detector  # noqa: E402
from clevam.files import write_json  # noqa: E402
from train_grounding import BERT, TOKENS  # noqa: E402

BERT_BASE = {"vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}
BERT_BASE |= {"intermediate_size": 3072, "max_position_embeddings": 512}


def write(folder: Path) -> None:
    """grounding.pth, grounding.cfg.py and text/; segmentation.pth."""
    text, config = folder / "text", folder / "grounding.cfg.py"
    text.mkdir(parents=True)
    write_json(text / "config.json", BERT | BERT_BASE)
    rare = (f"[unused{i}]" for i in range(BERT_BASE["vocab_size"] - len(TOKENS)))
    (text / "vocab.txt").write_text("\n".join([*TOKENS, *rare, ""]))
    (text / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True}))
    shutil.copy(Path(groundingdino.__file__).parent / "config" / "GroundingDINO_SwinT_OGC.py", config)
    torch.manual_seed(0)
    network = detector.build(detector.read_config(str(config)), *detector.read_text(str(text)))
    torch.save({"model": network.state_dict()}, folder / "grounding.pth")
    torch.save(sam_model_registry["vit_b"]().state_dict(), folder / "segmentation.pth")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
