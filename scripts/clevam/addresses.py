"""What the configuration's names of models stand for where models are published, and which files that comes to."""

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from clevam.errors import UserError

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_ADDRESS = re.compile(rf"(?P<repo>{_PART}/{_PART})(@(?P<revision>[\w.-]+)(/(?P<file>.+))?)?")
_FILE = re.compile(rf"(?P<repo>{_PART}/{_PART})/(?P<file>.+)")

# torchvision's names of weights, and their files at download.pytorch.org, where the digits begin the SHA-256.
PUBLISHED = {
    "AlexNet_Weights.IMAGENET1K_V1": "alexnet-owt-7be5be79.pth",
    "Raft_Large_Weights.C_T_V1": "raft_large_C_T_V1-22a6c225.pth",
    "Raft_Large_Weights.C_T_V2": "raft_large_C_T_V2-1bb1363a.pth",
    "Raft_Large_Weights.C_T_SKHT_V1": "raft_large_C_T_SKHT_V1-0b8c9e55.pth",
    "Raft_Large_Weights.C_T_SKHT_V2": "raft_large_C_T_SKHT_V2-ff5fadd5.pth",
    "Raft_Large_Weights.C_T_SKHT_K_V1": "raft_large_C_T_SKHT_K_V1-4a6a5039.pth",
    "Raft_Large_Weights.C_T_SKHT_K_V2": "raft_large_C_T_SKHT_K_V2-b5c70766.pth",
    "Raft_Small_Weights.C_T_V1": "raft_small_C_T_V1-ad48884c.pth",
    "Raft_Small_Weights.C_T_V2": "raft_small_C_T_V2-01064c6d.pth",
    "SqueezeNet1_1_Weights.IMAGENET1K_V1": "squeezenet1_1-b8a52dc0.pth",
    "VGG16_Weights.IMAGENET1K_V1": "vgg16-397923af.pth",
}

NETWORKS = ("unet", "vae", "text_encoder", "text_encoder_2")  # of Stable Diffusion, the last of XL only
WORDLESS = ("scheduler", "tokenizer", "tokenizer_2")  # without weights
TEXT = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
CLIP = (*TEXT, "preprocessor_config.json", "vocab.json", "merges.txt")
STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")
FORMATS = ("safetensors", "bin")  # in the order in which they are preferred: .bin is pickled


@dataclass(frozen=True)
class Address:
    """A model on the hub: its repository, at a commit, tag or branch, and a file or folder in it, or None for all."""

    repo: str
    revision: str = "main"
    file: str | None = None

    def __str__(self) -> str:
        return f"{self.repo}@{self.revision}" + (f"/{self.file}" if self.file else "")


def parse(name: str, key: str) -> Address:
    """The address that a model's name stands for. Raises UserError if it can only be a path.

    key: what the configuration calls the model, for errors.
    """
    bare = name.removeprefix("hf://")
    found = _ADDRESS.fullmatch(bare) or (_FILE.fullmatch(bare) if bare != name else None)
    if found:
        return Address(**{k: v for k, v in found.groupdict().items() if v})
    raise UserError(f"{key}: there is no {name}, seen from {Path.cwd()}" + _near(name, PUBLISHED))


def select(place: Address, files: Collection[str], key: str, variant: str | None = None) -> list[str]:
    """Those of a repository's `files` that a model is read from: most hold the same weights many times over.

    key: what the configuration calls the model; variant: config.Models. Raises UserError if the model is not there.
    """
    if place.file in files:
        # The sizes of a network that is none of the published ones stand beside its weights.
        beside = PurePosixPath(place.file).with_suffix(".json") if key == "models.segmenter" else place.file
        return sorted({place.file, str(beside)}.intersection(files))
    folder = f"{place.file}/" if place.file else ""
    inside = [file.removeprefix(folder) for file in files if file.startswith(folder)]
    if not inside:
        raise UserError(f"{key}: {place.repo}@{place.revision} has no {place.file}" + _near(place.file or "", files))
    if key == "models.diffusion":
        chosen = _diffusion(inside, variant, f"{key}: {place}")
    elif key.startswith("models.controls.") or key == "models.subject.encoder":
        chosen = [file for file in inside if file == "config.json"]
        chosen += _weights([file for file in inside if "/" not in file], variant, f"{key}: {place}")
    elif key == "models.clip":
        chosen = [file for file in inside if file in CLIP]
        chosen += _weights([file for file in inside if "/" not in file], variant, f"{key}: {place}")
    elif key == "models.detector.text" and "config.json" in inside:
        chosen = [file for file in inside if file in TEXT]
    elif key == "models.detector.text":
        raise UserError(f"{key}: {place} has no config.json, so it is no BERT; name another")
    else:
        likely = min(inside, key=lambda file: (not file.endswith((".pth", ".safetensors")), file))
        raise UserError(f"{key}: {place} is a folder; name a file in it, as {place}/{likely}")
    return [folder + file for file in chosen]


def _diffusion(files: list[str], variant: str | None, what: str) -> list[str]:
    """A pipeline in diffusers' layout: its settings, and one set of weights for each network that it has."""
    if "model_index.json" not in files:
        raise UserError(f"{what} is no Stable Diffusion in diffusers' layout: it has no model_index.json; name another")
    chosen = ["model_index.json"]
    for part in (*NETWORKS, *WORDLESS):
        inside = [file for file in files if PurePosixPath(file).parent == PurePosixPath(part)]
        chosen += [file for file in inside if file.endswith((".json", ".txt")) and not _kind(file)]
        if part in NETWORKS and (inside or part != "text_encoder_2"):
            chosen += _weights(inside, variant, f"{what}: {part}")
    return chosen


def _weights(files: list[str], variant: str | None, what: str) -> list[str]:
    """The best set of weights among a network's files: as diffusers does, plain ones where there is no such variant."""
    sets: dict = {}
    for file in files:
        sets.setdefault(_kind(file), []).append(file)
    order = [(format, v) for format in FORMATS for v in dict.fromkeys((variant, None))]
    if found := next((sets[kind] for kind in order if kind in sets), None):
        return found
    others = sorted({kind[1] for kind in sets if kind})
    hint = f"only variants, {', '.join(others)}: set models.variant" if others else "name another"
    raise UserError(f"{what} has no weights that can be read; {hint}")


def _kind(file: str) -> tuple[str, str | None] | None:
    """(format, variant) of a file of weights, of one of its parts or of the list of its parts; None for any other.

    model.safetensors, model.fp16.safetensors, model.fp16-00001-of-00002.safetensors, model.safetensors.index.fp16.json
    """
    stem, *words = re.sub(r"-\d{5}-of-\d{5}", "", PurePosixPath(file).name).split(".")
    formats = [word for word in words if word in FORMATS]
    if stem not in STEMS or len(formats) != 1:
        return None
    variant = [word for word in words if word not in (*FORMATS, "index", "json")]
    return formats[0], ".".join(variant) or None


def _near(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]}?" if near else ""
