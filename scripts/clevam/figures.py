"""What a result is measured by, in words: what each metric is called and means. metrics.py and perceive.py measure."""

from typing import NamedTuple

EVERY = 8  # frames between those of which SSIM and the blanked background are taken, as FiVE and PIE-Bench do


class Metric(NamedTuple):
    """better: `high`, `low` or neither; worst: of the frames, what is told beside the mean."""

    title: str
    unit: str
    better: str | None
    digits: int
    definition: str


METRICS = {
    "background_psnr": Metric(
        "Background PSNR", "dB", "high", 1,
        "Source against result over the pixels outside A and its soft rim, RGB 0 to 255; 100 dB stands for identical. "
        "The mean is of the squared errors.",
    ),
    "background_ssim": Metric(
        "Background SSIM", "", "high", 4,
        "Mean of the SSIM map (Wang et al. 2004, brightness, Gaussian window of 1.5 pixels) over the same pixels, "
        f"every {EVERY}th frame.",
    ),
    "blanked_psnr": Metric(
        "Background PSNR, blanked", "dB", "high", 1,
        f"As FiVE and PIE-Bench define it: A is black in both, whole pictures, every {EVERY}th frame. A large A "
        "inflates it.",
    ),
    "blanked_ssim": Metric(
        "Background SSIM, blanked", "", "high", 4, f"The same pictures by SSIM, every {EVERY}th frame.",
    ),
    "exactness": Metric(
        "Exactness", "", "high", 4,
        "Share of the pixels outside A and its soft rim whose Y, U and V are the source's, in the encoded file. "
        "1 where encode.lossless is set; else the encoder changes samples.",
    ),
    "warp_error_inside": Metric(
        "Warp error in A", "× 10⁻³", "low", 2,
        "The next frame of the result, warped back by the source's own motion: mean squared error in A, RGB 0 to 1, "
        "over pixels that pass the forward-backward check (Sundaram et al. 2010), pictures at most 384 pixels long.",
    ),
    "source_warp_error_inside": Metric(
        "… of the source", "× 10⁻³", None, 2, "The same of the source itself: what its motion cannot explain.",
    ),
    "warp_error_outside": Metric(
        "Warp error around A", "× 10⁻³", "low", 2, "The same as in A, over the pixels outside it.",
    ),
    "warp_ssim": Metric(
        "WarpSSIM", "× 10⁻²", "high", 1, "SSIM between a frame of the result and the next, warped back.",
    ),
    "confidence": Metric(
        "Propagation confidence", "", "high", 2,
        "How sure the motion from a frame to the surer of its keyframes is, 0 to 1, mean over A. Keyframes have none.",
    ),
    "mask_iou": Metric(
        "Mask steadiness", "IoU", "high", 3,
        "Overlap of A with the next frame's, warped back by the source's motion. A jump of the mask lowers it.",
    ),
    "change": Metric(
        "Change of A", "ΔE", None, 1, "Mean CIE Lab distance of source and result in A: what the edit did.",
    ),
    "area": Metric("Size of A", "%", None, 1, "Share of the picture."),
}  # fmt: skip

# By trained networks (perceive.py), where `models` names their weights.
LEARNT = {
    "lpips": Metric(
        "Background LPIPS, blanked", "× 10⁻³", "low", 1,
        f"Zhang et al. 2018, as torchmetrics computes it: A is black in both, every {EVERY}th frame, pictures at most "
        "512 pixels long. By SqueezeNet it is PIE-Bench's and FiVE's.",
    ),
    "clip_text": Metric(
        "CLIP-T", "", "high", 3, "Cosine of what CLIP makes of a whole frame and of the words for B.",
    ),
    "clip_text_region": Metric(
        "CLIP-T of B", "", "high", 3,
        "The same of each region alone, with an eighth of room around it, and its own words; mean over regions.",
    ),
    "clip_frames": Metric(
        "CLIP-F", "", "high", 4, "Cosine of what CLIP makes of a frame and of the one before, cuts included.",
    ),
}  # fmt: skip
ALL = METRICS | LEARNT
WEIGHTS = {  # of LEARNT: {key of `models`: (the metrics, a name to give there)}
    "lpips": (("lpips",), "SqueezeNet1_1_Weights.IMAGENET1K_V1"),
    "clip": (("clip_text", "clip_text_region", "clip_frames"), "openai/clip-vit-base-patch32"),
}
