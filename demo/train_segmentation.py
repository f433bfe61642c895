"""Train the demo world's Segment Anything: a box to the mask of what is seen of the object in it.

    python demo/train_segmentation.py [--out demo/models/segmentation] [--minutes 120] [--resume]

Objects overlap, so a box may hold parts of several.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from segment_anything.modeling import Sam
from segment_anything.utils.transforms import ResizeLongestSide
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from batches import drawn, load, random_still
from clevam import segmenter
from clevam.files import replacing, write_json
from training import Losses, Options, Training, halved, parse

SEGMENTATION = {
    "image_size": 192,
    "patch_size": 8,  # so the mask that the decoder draws has 96 x 96 pixels
    "window_size": 6,
    "width": 64,
    "encoder": {"embed_dim": 96, "depth": 4, "num_heads": 3, "global_attn_indexes": [3]},
    "decoder": {"depth": 2, "mlp_dim": 128, "num_heads": 4},
}
SIZES, SHARES = ((128, 128), (192, 192), (144, 256)), (0.7, 0.1, 0.2)  # of the stills: pixels, how often
PROMPTS = 4  # boxes per still
SEEN = 12  # pixels of an object from which on it is asked for

# ---- data --------------------------------------------------------------------------------------------------------


def draw(rng: np.random.Generator, batch: int) -> dict[str, Tensor]:
    """Stills of one size: `pictures` float32 [B, 3, h, w], as large as the network takes them; `boxes` float32
    [B, P, 4], in their pixels; `masks` float32 [B, P, H, W], 0 or 1, in the pixels of the stills."""
    height, width = SIZES[rng.choice(len(SIZES), p=SHARES)]
    fit_in = ResizeLongestSide(SEGMENTATION["image_size"])
    pictures, boxes, masks = [], [], []
    while len(pictures) < batch:
        picture, labels, around, *_ = random_still(rng, (height, width))
        seen = [k for k in range(1, len(around) + 1) if (labels == k).sum() >= SEEN]
        if not seen:
            continue
        asked = np.resize(rng.permutation(seen), PROMPTS)
        pictures.append(fit_in.apply_image(picture))
        boxes.append([fit_in.apply_boxes(jittered(rng, around[k - 1]), (height, width))[0] for k in asked])
        masks.append(labels == asked[:, None, None])
    return {
        "pictures": torch.as_tensor(np.array(pictures)).permute(0, 3, 1, 2).float(),
        "boxes": torch.as_tensor(np.array(boxes)).float(),
        "masks": torch.as_tensor(np.array(masks)).float(),
    }


def jittered(rng: np.random.Generator, box: np.ndarray) -> np.ndarray:
    """A box as a detector might find it: exact, or each side off by up to 10 % of the box, or loose by up to 30 %."""
    spread = rng.choice([(0.0, 0.0), (-0.1, 0.1), (0.0, 0.3)], p=[0.3, 0.5, 0.2])
    outwards = rng.uniform(*spread, 4) * np.tile(box[2:] - box[:2], 2)
    return box + outwards * (-1, -1, 1, 1)


# ---- loss --------------------------------------------------------------------------------------------------------


def predict(sam: Sam, pictures: Tensor, boxes: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Logits [B, P, H, W] in stills of this size, and the qualities [B, P] that the network expects of its masks."""
    features = sam.image_encoder(sam.preprocess(pictures))
    results = [decode(sam, *each) for each in zip(features, boxes, strict=True)]
    masks, quality = (torch.stack(parts).squeeze(2) for parts in zip(*results, strict=True))
    return sam.postprocess_masks(masks, tuple(pictures.shape[-2:]), size), quality


def decode(sam: Sam, features: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """One picture, as the decoder takes no more: features [C, h, w], boxes [P, 4] -> [P, 1, 4h, 4w], [P, 1]."""
    sparse, dense = sam.prompt_encoder(points=None, boxes=boxes, masks=None)
    position = sam.prompt_encoder.get_dense_pe()
    return sam.mask_decoder(features[None], position, sparse, dense, multimask_output=False)


def losses_of(sam: Sam, batch: dict[str, Tensor]) -> Losses:
    masks = batch["masks"]
    logits, quality = predict(sam, batch["pictures"], batch["boxes"], tuple(masks.shape[-2:]))
    shares = logits.sigmoid()
    both, either = (shares * masks).sum((2, 3)), (shares + masks).sum((2, 3))
    # Small objects count like large ones: what is wrong is measured by the size of the object.
    wrong = F.binary_cross_entropy_with_logits(logits, masks, reduction="none").sum((2, 3)) / masks.sum((2, 3))
    iou = iou_of(logits > 0, masks > 0)
    return {
        "edge": wrong.clamp(max=10).mean(),
        "dice": 1 - ((2 * both + 1) / (either + 1)).mean(),
        "quality": F.mse_loss(quality, iou),
    }


def iou_of(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of masks, bool [..., H, W] to float32 [...]."""
    return (a & b).sum((-2, -1)) / (a | b).sum((-2, -1)).clamp(min=1)


# ---- weights -----------------------------------------------------------------------------------------------------


def build() -> Sam:
    """The network with first weights."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "weights.json"
        write_json(path, SEGMENTATION)
        return segmenter.build(path)


def save(sam: Sam, folder: Path) -> None:
    """weights.pth in half precision, and weights.json."""
    with replacing(folder / "weights.json") as part:
        write_json(part, SEGMENTATION)
    with replacing(folder / "weights.pth") as part:
        torch.save(halved(sam), part)


def train(options: Options) -> None:
    training = Training(load(build, options), options)
    batches = drawn(partial(draw, batch=options.batch), training)
    training.run(lambda: losses_of(training.model, next(batches)), partial(save, folder=options.out))


if __name__ == "__main__":
    train(parse(__doc__, "segmentation", minutes=120, batch=8, rate=1e-3))
