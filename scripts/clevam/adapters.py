"""Small files that change a checkpoint: LoRAs (Hu et al., ICLR 2022) and learnt words (Gal et al., ICLR 2023)."""

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from clevam.errors import UserError, reason

ENCODERS = {"clip_l": "", "clip_g": "_2"}  # of learnt words for XL: the endings of its text encoders' names


@dataclass(frozen=True)
class Adapter:
    """A .safetensors file, its name among `models.adapters`, and how much of a LoRA is added."""

    path: str
    name: str
    scale: float = 1.0


def load(pipe, adapters: list[Adapter]) -> None:
    """Put adapters into a diffusers pipeline. A learnt word is written <name>. Raises UserError."""
    scales = {}
    for n, adapter in enumerate(adapters):
        slot = f"adapter{n}"  # a name may hold dots, which peft refuses
        try:
            state = read(adapter.path)
            if any("lora" in name for name in state):
                pipe.load_lora_weights(state, adapter_name=slot)
                if not any(slot in names for names in pipe.get_list_adapters().values()):
                    raise ValueError("none of its layers is one of this Stable Diffusion's")
                scales[slot] = adapter.scale
            else:
                learn(pipe, f"<{adapter.name}>", state)
        except (OSError, KeyError, ValueError, RuntimeError, TypeError, SafetensorError) as error:
            raise UserError(
                f"models.adapters.{adapter.name}: {adapter.path} is no LoRA and no learnt word for models.diffusion: "
                f"{reason(error)}; name another file"
            ) from error
    if scales:
        pipe.set_adapters(list(scales), list(scales.values()))


def read(path: str) -> dict[str, Tensor]:
    """A file's tensors."""
    if Path(path).suffix != ".safetensors":
        raise ValueError("it is no .safetensors, and others may hold code")
    return load_file(path)


def learn(pipe, word: str, state: dict[str, Tensor]) -> None:
    """Teach the text encoders a word of one or more vectors, [C] or [n, C]."""
    xl = set(state) == set(ENCODERS)
    if not xl and len(state) != 1:
        raise ValueError(f"it holds {len(state)} tensors")
    for name, vectors in state.items():
        end = ENCODERS[name] if xl else ""
        tokenizer, encoder = getattr(pipe, f"tokenizer{end}"), getattr(pipe, f"text_encoder{end}")
        pipe.load_textual_inversion({word: vectors}, token=word, tokenizer=tokenizer, text_encoder=encoder)
