"""Boxes to masks: Segment Anything (Kirillov et al., ICCV 2023), from checkpoints in the original format."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import torch
from segment_anything import SamPredictor, sam_model_registry
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

from clevam.errors import UserError
from clevam.states import State, load_into, read_state

PUBLISHED = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}  # by the width of the image encoder
MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


class Segmenter:
    """A Segment Anything model, loaded once for many pictures.

    weights: the state dict. The published sam_vit_b, sam_vit_l and sam_vit_h are known by it; the sizes of any other
    stand in a .json of the same name beside it (see `build`).
    """

    def __init__(self, weights: str, device: torch.device) -> None:
        state = read_state(weights, "models.segmenter")
        sizes = Path(weights).with_suffix(".json")
        model = build(sizes) if sizes.exists() else published(state, weights)
        load_into(model, state, weights, "models.segmenter")
        self.predictor = SamPredictor(model.eval().to(device))

    @torch.no_grad()
    def __call__(self, picture: np.ndarray, boxes: list[list[float]]) -> np.ndarray:
        """What each box [x0, y0, x1, y1], in pixels, holds: bool [n, H, W] for a picture uint8 RGB [H, W, 3]."""
        self.predictor.set_image(picture)
        masks = [self.predictor.predict(box=np.array(box), multimask_output=False)[0][0] for box in boxes]
        return np.stack(masks).astype(bool)


def published(state: State, path: str) -> Sam:
    """The network of a published checkpoint."""
    width = state["image_encoder.pos_embed"].shape[-1] if "image_encoder.pos_embed" in state else None
    if width not in PUBLISHED:
        raise UserError(
            f"models.segmenter: {path} is none of sam_vit_b, sam_vit_l, sam_vit_h, "
            f"and there is no {Path(path).with_suffix('.json').name} beside it with the sizes of its network"
        )
    return sam_model_registry[PUBLISHED[width]]()


def build(path: Path) -> Sam:
    """A network of any size, written down in a JSON.

    It holds `image_size`, `patch_size`, `window_size`, `width` (of all that comes after the encoder), `encoder` (the
    `embed_dim`, `depth`, `num_heads` and `global_attn_indexes` of the image encoder) and `decoder` (the `depth`,
    `mlp_dim` and `num_heads` of the mask decoder's transformer); the published models have 1024, 16, 14 and 256.
    """
    try:
        config = json.loads(path.read_text())
        size, patch, width = (config[key] for key in ("image_size", "patch_size", "width"))
        return Sam(
            image_encoder=ImageEncoderViT(
                img_size=size, patch_size=patch, out_chans=width, window_size=config["window_size"], mlp_ratio=4,
                norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), qkv_bias=True, use_rel_pos=True, **config["encoder"],
            ),
            prompt_encoder=PromptEncoder(
                embed_dim=width, image_embedding_size=[size // patch] * 2, input_image_size=[size] * 2, mask_in_chans=16
            ),
            mask_decoder=MaskDecoder(
                num_multimask_outputs=3, transformer_dim=width, iou_head_depth=3, iou_head_hidden_dim=width,
                transformer=TwoWayTransformer(embedding_dim=width, **config["decoder"]),
            ),
            pixel_mean=MEAN,
            pixel_std=STD,
        )  # fmt: skip
    except Exception as error:  # the package has a dozen ways to say that a size is missing or impossible
        raise UserError(f"models.segmenter: {path} does not describe a Segment Anything model: {error!r}") from None
