"""Words to boxes: GroundingDINO (Liu et al., ECCV 2024), from checkpoints in the original format.

A checkpoint is three things: `weights`, the state dict as published (.pth, or .safetensors); `config`, the settings of
its network as published (.py, read and never run, or .json); `text`, a folder with the configuration and the tokenizer
of its BERT, whose weights are among the state dict's.
"""

import ast
import json
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import torch
from groundingdino.datasets import transforms
from groundingdino.models.GroundingDINO import groundingdino as package
from groundingdino.models.GroundingDINO.backbone.backbone import Joiner, build_backbone
from groundingdino.models.GroundingDINO.backbone.position_encoding import build_position_encoding
from groundingdino.models.GroundingDINO.backbone.swin_transformer import SwinTransformer
from PIL import Image
from torch import Tensor
from transformers import BertConfig, BertModel, BertTokenizerFast

from clevam.errors import UserError
from clevam.states import load_into, read_state

SIZE, LONGEST = 800, 1333  # pixels that the short side is brought to, and the most that the long one may have then
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, which the backbones were trained on


class Detector:
    """A GroundingDINO, loaded once for many pictures."""

    def __init__(self, weights: str, config: str, text: str, device: torch.device) -> None:
        settings, words = read_config(config), read_text(text)
        try:
            self.model = build(settings, *words)
        except Exception as error:  # the package has a dozen ways to say that a setting is missing or impossible
            raise UserError(f"models.detector.config: {config} does not describe a GroundingDINO: {error!r}") from None
        load_into(self.model, read_state(weights, "models.detector"), weights, "models.detector")
        self.model.eval().to(device)
        self.device = device
        short, longest = settings.get("size", SIZE), settings.get("longest", LONGEST)
        self.prepare = transforms.Compose(
            [transforms.RandomResize([short], longest), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
        )

    @torch.no_grad()
    def __call__(self, picture: np.ndarray, phrases: list[str]) -> tuple[Tensor, Tensor]:
        """What the network sees of each phrase in a picture, uint8 RGB [H, W, 3].

        Returns boxes, float32 [Q, 4] as x0, y0, x1, y1 in pixels, and scores, float32 [R, Q], 0..1: how well each box
        fits each phrase, the best of its words (all phrases are asked for at once, as in the paper's section 3.4).
        """
        pixels, _ = self.prepare(Image.fromarray(picture), None)
        caption, words = self.caption(phrases)
        out = self.model(pixels[None].to(self.device), captions=[caption])
        logits, boxes = out["pred_logits"][0].float().cpu().sigmoid(), out["pred_boxes"][0].float().cpu()
        scores = torch.stack([logits[:, tokens].amax(1) for tokens in words])
        centre, half = boxes[:, :2], boxes[:, 2:] / 2
        height, width = picture.shape[:2]
        corners = torch.cat([centre - half, centre + half], 1).clamp(0, 1)
        return corners * torch.tensor([width, height] * 2), scores

    def caption(self, phrases: list[str]) -> tuple[str, list[list[int]]]:
        """The phrases as one caption, `a dog . a cat .`, and the numbers of each phrase's known tokens in it."""
        # Full stops and question marks separate phrases for the network, so none may hold one.
        plain = [" ".join(p.lower().replace(".", " ").replace("?", " ").split()) for p in phrases]
        caption = " . ".join(plain) + " ."
        tokens = self.model.tokenizer(caption, return_offsets_mapping=True)
        unknown = self.model.tokenizer.unk_token_id
        spans = enumerate(zip(tokens["input_ids"], tokens["offset_mapping"], strict=True))
        known = [(number, *span) for number, (token, span) in spans if token != unknown]
        words, start = [], 0
        for phrase, text in zip(phrases, plain, strict=True):
            end = start + len(text)
            words.append([number for number, a, b in known if start <= a < b <= end])
            if not words[-1] or words[-1][-1] >= self.model.max_text_len:
                raise UserError(f"find: {phrase[:60]!r} is too long, or holds no word that the detector can read")
            start = end + len(" . ")
        return caption, words


def read_config(path: str) -> dict:
    """The settings in a published configuration: assignments of plain values, read as data.

    Anything else in a .py file (an import, a call) is refused: nothing of it is ever run.
    """
    try:
        text = Path(path).read_text()
        if not path.endswith(".py"):
            return dict(json.loads(text))
        return dict(_assignment(node) for node in ast.parse(text).body)
    except Exception as error:  # of the parsers
        raise UserError(f"models.detector.config: {path} cannot be read as plain settings: {error}") from None


def _assignment(node: ast.stmt) -> tuple[str, object]:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return name, ast.literal_eval(value)
    raise ValueError(f"line {node.lineno} is not of the form `name = value`")


def read_text(folder: str) -> tuple[BertTokenizerFast, BertConfig]:
    """The tokenizer and the settings of the BERT in a folder. Its weights are among those of the detector."""
    if not Path(folder).is_dir():  # or transformers would look for it on the hub
        raise UserError(f"models.detector.text: there is no folder {folder}")
    try:
        return BertTokenizerFast.from_pretrained(folder), BertConfig.from_json_file(Path(folder) / "config.json")
    except Exception as error:  # transformers has a dozen ways to say that a file is missing or damaged
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"models.detector.text: {folder} holds no BERT that can be read: {reason}") from None


def build(settings: dict, tokenizer: BertTokenizerFast, bert: BertConfig) -> torch.nn.Module:
    """The network of the settings, with the text side of `read_text`.

    Beside the backbones that the package names, `backbone` may hold the sizes of any Swin Transformer:
    {"embed_dim", "depths", "num_heads", "window_size"}.
    """
    # Checkpointing trades time for memory in training; in use it only warns.
    args = SimpleNamespace(**settings | {"use_checkpoint": False, "use_transformer_ckpt": False})
    backbone = _swin(args) if isinstance(args.backbone, dict) else build_backbone(args)
    known = ("num_queries", "num_feature_levels", "nheads", "dec_pred_bbox_embed_share", "two_stage_type")
    known += ("two_stage_bbox_embed_share", "two_stage_class_embed_share", "num_patterns", "sub_sentence_present")
    options = {name: getattr(args, name) for name in known}
    # The package would load them by name, the BERT with weights, which are then replaced.
    text = {"get_tokenlizer": lambda _: tokenizer, "get_pretrained_language_model": lambda _: BertModel(bert)}
    with mock.patch.multiple(package.get_tokenlizer, **text):
        return package.GroundingDINO(
            backbone, package.build_transformer(args), iter_update=True, query_dim=4, **options
        )


def _swin(args: SimpleNamespace) -> Joiner:
    swin = SwinTransformer(**args.backbone, out_indices=tuple(args.return_interm_indices))
    backbone = Joiner(swin, build_position_encoding(args))
    backbone.num_channels = swin.num_features[4 - len(args.return_interm_indices) :]
    return backbone
