"""Painting B into the keyframes: the reference first, every other one while looking at the reference's attention.

Before that comes the inversion of each, which all edits of what is found share.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby
from math import prod
from pathlib import Path
from types import MappingProxyType
from zlib import crc32

import cv2
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from clevam import budget, grid, images, phrases, store, twin
from clevam.device import pick_device
from clevam.errors import UserError
from clevam.files import replacing
from clevam.geometry import cut, feather, paste
from clevam.spare import Spare
from clevam.uncompiled import uncompiled

with uncompiled():
    from clevam import control, sampler
    from clevam.adapters import Adapter
    from clevam.attention import Cache, Context, Options, layer_labels
    from clevam.diffusion import Diffusion, Machine, Words, pick_dtype
    from clevam.subject import Subject

ATTENTION = "attention"  # of the keyframes of a block, for those after them

# Of an inversion: find, steps, attention (config.Attention), dtype, tiling (config.Runtime), variant (config.Models),
# and weights, the fingerprint of the checkpoint. Of an edit also replace, feather and edit (config.Edit).
Settings = dict


@dataclass(frozen=True)
class Keyframe:
    """A keyframe with A in it: the paths of its picture and mask, its crop, {"box", "work"} of plan.json, and for each
    control the path of its map; None where it is made of the picture."""

    picture: str
    mask: str
    crop: dict
    maps: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class Opened:
    """A keyframe in memory: its picture, uint8 RGB [H, W, 3], and labels, uint8 [H, W]; of its crop the piece that the
    model works on, uint8 RGB at work size, inside, its labels int64 at latent size, and the controls' maps, uint8 RGB
    at work size."""

    picture: np.ndarray
    labels: np.ndarray
    box: list[int]
    piece: np.ndarray
    inside: Tensor
    maps: tuple[np.ndarray, ...] = ()


# ---- rules -------------------------------------------------------------------------------------------------------


def invert(keyframes: dict[str, Keyframe], target: str, *, settings: Settings, machine: Machine) -> None:
    """Write the inversions of one block's keyframes into the folder `target`, as <name>.safetensors."""
    with replacing(target) as folder:
        folder.mkdir()
        if not keyframes:
            return
        check_memory(keyframes.values(), settings, machine)
        inverter = Inverter(settings, machine)

        def work(names: list[str]) -> None:
            paths = inverter.invert([inverter.open(keyframes[name]) for name in names])
            for name, path in zip(names, paths, strict=True):
                write_inversion(folder / f"{name}.safetensors", path)

        inverter.spare.each(folder, together(keyframes, machine.batch), work)


def write_inversion(path: Path, latents: Tensor) -> None:
    """Write one keyframe's latents at all levels [S + 1, 4, h, w], in half precision."""
    kept = latents.half().cpu().contiguous()
    save_file({"path": kept}, path, {"crc32": str(crc32(kept.numpy()))})  # the format has no sum of its own


def read_inversion(path: str) -> Tensor:
    """One keyframe's latents at all levels, float32 [S + 1, 4, h, w]."""
    try:
        with safe_open(path, "pt") as file:
            kept, told = file.get_tensor("path"), file.metadata()["crc32"]
        if str(crc32(kept.numpy())) != told:
            raise KeyError
        return kept.float()
    except (OSError, KeyError, TypeError, SafetensorError):
        raise UserError(f"{path}: missing or damaged; delete {Path(path).parent} and run again") from None


def reference(
    keyframe: Keyframe, inverted: str | None, picture: str, cache: str, *, settings: Settings, machine: Machine,
    subjects: Sequence[Subject] = (), given: str | None = None,
) -> None:  # fmt: skip
    """Edit the reference keyframe; write it as PNG to `picture` and its attention into the folder `cache`.

    inverted: the file of its inversion, where the edit takes one; given: a picture of the keyframe with B in it, taken
    instead of painting one. Raises UserError if that is of another size.
    """
    check_memory([keyframe], settings, machine)
    editor = Editor(settings, machine, subjects)
    opened = editor.open(keyframe)
    with replacing(cache) as folder:
        folder.mkdir()

        def work(_: list) -> None:
            path = read_inversion(inverted)[None] if inverted else None
            images.write_png(picture, editor.first_of_all(opened, path, folder, given))

        editor.spare.each(folder, [[opened]], work)


def tried(
    keyframe: Keyframe, target: str, *, tried: Mapping[str, tuple[Settings, str]], machine: Machine,
    subjects: Sequence[Subject] = (), given: str | None = None,
) -> None:  # fmt: skip
    """Write the reference in several ways into the folder `target`: <name>.png, and the attention into <name>/.

    tried: of each its settings and their digest (twin.digest); keyframe, given: as for `reference`.
    """
    check_memory([keyframe], next(iter(tried.values()))[0], machine)
    with replacing(target) as folder:
        folder.mkdir()
        editors: list[Editor] = []

        def work(names: list[str]) -> None:
            (name,) = names
            settings, digest = tried[name]
            editor = Editor(settings, machine, subjects, editors[0].model if editors else None)
            editors[:] = [editor]
            editor.spare = spare
            opened = editor.open(keyframe)
            path = editor.invert([opened]).half().float() if editor.inverts and not given else None  # as it is kept
            with replacing(folder / name) as cache:
                cache.mkdir()
                images.write_png(folder / f"{name}.png", editor.first_of_all(opened, path, cache, given))
            twin.record(digest, folder / f"{name}.png", folder / name)

        spare = Spare(lambda: editors[0].model.tile())
        spare.each(folder, [[name] for name in tried], work)


def block(
    keyframes: dict[str, Keyframe], inverted: str | None, target: str, *, untouched: dict[str, str], cache: str,
    settings: Settings, machine: Machine, subjects: Sequence[Subject] = (),
    previous: Mapping[str, list[str]] = MappingProxyType({}), earlier: Sequence[str] = (),
) -> None:  # fmt: skip
    """Write the pictures of one block into the folder `target`, as <name>.png.

    keyframes: those to edit; inverted: the folder of their inversions, where the edit takes them; untouched: pictures
    that are taken as they are, keyframes without A and the reference; previous: the keyframes before each that it looks
    at; earlier: folders of other blocks in which those may be.
    """
    with replacing(target) as folder:
        folder.mkdir()
        for name, picture in untouched.items():
            images.write_png(folder / f"{name}.png", images.read_rgb(picture))
        if not keyframes:
            return
        check_memory(keyframes.values(), settings, machine)
        editor = Editor(settings, machine, subjects)
        shared = editor.shared(store.Reader(Path(cache), editor.made_with)) if editor.shares else None

        def work(names: list[str]) -> None:
            paths = inverted and torch.stack([read_inversion(f"{inverted}/{name}.safetensors") for name in names])
            opened, links = [editor.open(keyframes[name]) for name in names], {}
            if editor.edit_options["share"]["previous"]:
                (name,) = names
                links = editor.links(name, previous.get(name, []), [folder, *map(Path, earlier)])
            for name, picture in zip(names, editor.edit(opened, paths, shared=shared, **links), strict=True):
                images.write_png(folder / f"{name}.png", picture)

        editor.spare.each(folder, together(keyframes, editor.at_once), work, whole=editor.tiles is not None)
        for name in list(keyframes)[: -settings["edit"]["share"]["previous"]]:  # nobody will look at these any more
            shutil.rmtree(folder / ATTENTION / name)


def check_memory(keyframes: Iterable[Keyframe], settings: Settings, machine: Machine) -> None:
    """Raise UserError before anything is loaded if the largest of the keyframes cannot be edited here."""
    device = pick_device(machine.device)
    dtype, sizes = pick_dtype(settings["dtype"], device), [keyframe.crop["work"] for keyframe in keyframes]
    budget.check_memory(machine.model, device, dtype=dtype, offload=machine.offload, sizes=sizes)


def maps_of(control: list[dict], given: Iterable[str], names: Sequence[str]) -> dict[str, tuple[str | None, ...]]:
    """Of each keyframe the path of each control's map, None where it is made of the picture; given: all that are paths,
    keyframe by keyframe."""
    paths = iter(given)
    return {name: tuple(None if each["maps"] == "canny" else next(paths) for each in control) for name in names}


def subjects_of(shown: list, folder: Iterable[str]) -> list[Subject]:
    """The subjects of an edit; shown: label, scale and names of pictures of each; folder: where those are, if any."""
    where = "".join(folder)
    return [Subject(label, scale, tuple(f"{where}/{name}" for name in names)) for label, scale, names in shown]


def together(keyframes: dict[str, Keyframe], batch: int) -> Iterator[list[str]]:
    """Names of keyframes that go through the network at once: at most `batch`, of one size, in their order."""
    for _, group in groupby(keyframes, lambda name: keyframes[name].crop["work"]):
        names = list(group)
        yield from (names[i : i + batch] for i in range(0, len(names), batch))


# ---- the work ----------------------------------------------------------------------------------------------------


class Inverter:
    """A checkpoint and what is found, loaded once for many keyframes."""

    def __init__(
        self,
        settings: Settings,
        machine: Machine,
        changed_by: Sequence[Adapter] = (),
        subjects: Sequence[Subject] = (),
        model: Diffusion | None = None,
    ) -> None:
        """model: loaded already, for other settings of the same checkpoint, changed alike."""
        self.settings, self.find = settings, settings["find"]
        self.model = model or Diffusion(
            machine, settings["dtype"], settings["tiling"], settings["variant"], changed_by, subjects
        )
        self.spare = Spare(self.model.tile)
        self.schedule = sampler.Schedule.of(self.model.scheduler, settings["steps"])
        self.options = options_of(settings["attention"])

    def invert(self, opened: list[Opened]) -> Tensor:
        """Their latents at all levels, noisiest first: float32 [K, S + 1, 4, h, w]. All crops have one `work` size."""
        contexts = [self.context(one.piece, one.inside, self.source) for one in opened]
        clean = torch.cat([self.model.to_latent(one.piece) for one in opened])
        return torch.stack(sampler.invert(self.model.unet, self.schedule, clean, contexts, self.spare.steps), 1)

    @cached_property
    def source(self) -> dict:
        """`told` of what is found: encoded once, and only where something is inverted."""
        encode = self.model.encode
        whole = encode(", ".join(self.find))
        return self.told([encode(text).embedding for text in ["", *self.find]], whole, [whole.pooled])

    def told(
        self, texts: list[Tensor], whole: Words, pooled: list[Tensor | None], fixed: list[set[int]] | None = None
    ) -> dict:
        """What every keyframe's context holds of the words: `texts`, one embedding [B, T, C] per label."""
        weights = None
        if self.options.words == "whole":
            texts = [*texts[:-1], torch.cat([texts[-1][:-1], whole.embedding])]
        elif self.options.words == "official":
            wanted = phrases.splice(self.model.encode("").embedding, [text[-1:] for text in texts])
            together = torch.cat([texts[0][:-1], wanted])
            texts, weights = [together] * len(texts), phrases.weights(together, len(texts), fixed)
        return {"texts": texts, "weights": weights, "pooled": pooled}

    def context(self, piece: np.ndarray, inside: Tensor, told: dict) -> Context:
        """What the network is told of a crop, uint8 RGB [H, W, 3], with labels int64 [h, w]."""
        return Context(
            inside,
            told["texts"],
            self.options,
            told["weights"],
            channels=self.model.channels(piece, inside),
            added=self.model.added(told["pooled"], piece.shape[:2]),
        )

    def open(self, keyframe: Keyframe) -> Opened:
        """Read a keyframe and prepare it for the model."""
        picture = images.read_rgb(keyframe.picture)
        labels = images.read_labels(keyframe.mask, len(self.find))
        box, (width, height) = keyframe.crop["box"], keyframe.crop["work"]
        piece = piece_of(picture, box, (width, height))
        cell = self.model.cell
        inside = self.latent_labels(cut(labels, box, "constant"), (height // cell, width // cell))
        maps = tuple(
            piece_of(images.read_rgb(path), box, (width, height)) if path else control.canny(piece)
            for path in keyframe.maps
        )
        return Opened(picture, labels, box, piece, inside, maps)

    def latent_labels(self, labels: np.ndarray, size: tuple[int, int]) -> Tensor:
        """uint8 [H, W] labels of a crop as int64 [h, w] at latent size."""
        tensor = torch.from_numpy(labels.astype(np.int64)).to(self.model.device)
        return layer_labels(tensor, size, len(self.find) + 1)


class Editor(Inverter):
    """A checkpoint and one edit's settings, loaded once for many keyframes."""

    def __init__(
        self, settings: Settings, machine: Machine, subjects: Sequence[Subject] = (), model: Diffusion | None = None
    ) -> None:
        self.edit_options, self.shares = settings["edit"], settings["edit"]["share"]["reference"]
        edit = settings["edit"]
        changed_by = [
            Adapter(path, each["model"], each["scale"])
            for each, path in zip(edit["adapters"], machine.adapters, strict=True)
        ]
        own = settings | {key: edit[key] for key in ("steps", "attention")}
        super().__init__(own, machine, changed_by, subjects, model)
        self.disk = machine.disk
        self.inverts = edit["start"] == "inversion" or edit["inject"]["where"] != "none"
        self.options = options_of(edit["attention"], edit["share"], edit["inject"])
        self.first = self.schedule.steps - max(1, round(edit["strength"] * self.schedule.steps))
        self.constraint = constraint_of(edit)
        # Words are encoded once; what is outside has no words of its own.
        encode, replace, find = self.model.encode, settings["replace"], self.find
        negative, whole = encode(edit["negative"], negative=True), encode(", ".join(replace))
        pairs = [torch.cat([negative.embedding, encode(text).embedding]) for text in ["", *replace]]
        fixed = [self.model.kept(a, b) for a, b in zip(["", *find], ["", *replace], strict=True)]
        self.words = self.told(pairs, whole, [negative.pooled, whole.pooled], fixed)
        moves = self.constraint.moves(self.schedule, self.first)
        self.made_with = {
            "weights": settings["weights"],
            "timesteps": [self.schedule.timesteps[i] for i, end in moves if i < end],
            "levels": self.schedule.levels,
            "prediction": self.schedule.prediction,
            "dtype": str(self.model.dtype),
            "find": find,
            "replace": replace,
            **{key: edit[key] for key in ("negative", "attention", "adapters", "control")},
            **{key: edit["share"][key] for key in ("store", "layers", "where")},
            "subjects": [[subject.label, subject.scale] for subject in subjects],
        }
        self.tiles = edit["tiles"] if edit["layout"] == "grid" else None
        self.at_once = prod(self.tiles) if self.tiles else 1 if edit["share"]["previous"] else machine.batch
        check_layers(self.model.unet, self.options)
        self.controls = [
            control.Control(
                self.model.control(folder, f"models.controls.{each['model']}"),
                each["scale"],
                tuple(each["window"]),
                each["where"],
            )
            for each, folder in zip(edit["control"], machine.controls, strict=True)
        ]

    def edit(
        self,
        opened: list[Opened],
        inverted: Tensor | None,
        shared: sampler.Shared | None = None,
        write: Callable[[int, Cache], None] | None = None,
        before: Sequence[Callable[[int], Cache]] = (),
    ) -> list[np.ndarray]:
        """The edited keyframes, uint8 RGB [H, W, 3]; from 2 * feather + 1 pixels off the mask on, the source's bits.

        All crops have one `work` size. inverted: `invert` of them, or None where the edit takes none; shared: the
        reference's attention; write: takes theirs, of a single one; before: what reads that of earlier ones.
        """
        painted = self.paint(opened, inverted, shared, write, before)
        return [self.close(one, crop) for one, crop in zip(opened, painted, strict=True)]

    def first_of_all(self, opened: Opened, path: Tensor | None, folder: Path, given: str | None) -> np.ndarray:
        """The reference, edited or given, uint8 RGB [H, W, 3]; what others will look at goes into a folder.

        path: its inversion, where the edit takes one.
        """
        write = None
        if self.shares:
            write = store.Writer(folder, self.made_with, self.disk)
            write.keep(opened.inside, opened.piece, opened.maps)
        if given:
            return self.follow(opened, images.read_rgb(given, opened.picture.shape[1::-1]), write)
        return self.edit([opened], path, write=write)[0]

    def follow(self, opened: Opened, given: np.ndarray, write: Callable[[int, Cache], None] | None) -> np.ndarray:
        """The keyframe with B as a picture of it shows it, uint8 RGB [H, W, 3]; `write` takes the attention that the
        picture has on its way to noise, as if it had been painted (as StyleAligned does from an input image)."""
        encode, words = self.model.encode, self.settings["replace"]
        whole = encode(", ".join(words))
        told = self.told([encode(text).embedding for text in ["", *words]], whole, [whole.pooled])
        clean = self.model.to_latent(piece_of(given, opened.box, opened.piece.shape[1::-1]))
        context = self.context(opened.piece, opened.inside, told)
        path = sampler.invert(self.model.unet, self.schedule, clean, [context], self.spare.steps)
        if write:
            moves = self.constraint.moves(self.schedule, self.first)
            about = self.guided(opened.piece, opened.inside, opened.maps)
            sampler.witness(self.model.unet, self.schedule, path, about, moves, write)
        return self.laid(opened, cut(given, opened.box))

    def paint(
        self,
        opened: list[Opened],
        inverted: Tensor | None,
        shared: sampler.Shared | None,
        write: Callable[[int, Cache], None] | None,
        before: Sequence[Callable[[int], Cache]] = (),
    ) -> list[np.ndarray]:
        """Their crops as the model paints them, float32 RGB at work size, 0 to 255."""
        source = self.source_path(opened, inverted)
        start = self.start(source, opened)
        contexts = [self.guided(one.piece, one.inside, one.maps) for one in opened]
        own = None
        if self.options.inject != "none":
            own = [self.context(one.piece, one.inside, self.source) for one in opened]
        tiles = None if write else self.tiles  # the reference is painted alone
        if tiles:
            start, *source = (grid.tiled(z, tiles)[None] for z in (start, *source))
            contexts, own = ([grid.context(each, tiles)] if each else None for each in (contexts, own))
        latents = sampler.edit(
            self.model.unet, self.schedule, start, source, contexts, self.edit_options["guidance"],
            first=self.first, constraint=self.constraint, shared=shared, before=before, own=own, write=write,
            noise=partial(self.noise, source[0]), each=self.spare.steps,
        )  # fmt: skip
        if tiles:
            latents = grid.apart(latents[0], tiles)[: len(opened)]
        return [self.model.to_pixels(z[None]) for z in latents]

    def links(self, name: str, previous: list[str], folders: list[Path]) -> dict:
        """Arguments of `edit` that let a keyframe look at those before it, in any of the blocks' folders, and keep its
        attention in the first of them."""
        made_with = self.made_with | {"store": self.options.store}
        target = folders[0] / ATTENTION / name
        target.mkdir(parents=True, exist_ok=True)  # again where memory ran out
        before = [
            next((folder / ATTENTION / one for folder in folders if (folder / ATTENTION / one).exists()), None)
            for one in previous
        ]
        if None in before:
            raise UserError(f"{folders[-1]}: the attention in it is missing; delete that folder and run again")
        return {"before": [store.Reader(one, made_with) for one in before], "write": store.Writer(target, made_with)}

    def source_path(self, opened: list[Opened], inverted: Tensor | None) -> list[Tensor]:
        """The source's latents [K, 4, h, w] at all levels: the inverted ones, or, where there are none, with noise."""
        if inverted is not None:
            return [*inverted.to(self.model.device).unbind(1)]
        clean = torch.cat([self.model.to_latent(one.piece) for one in opened])
        return self.schedule.noised(clean, self.noise(clean))

    def shared(self, read: store.Reader) -> sampler.Shared:
        """The reference's attention, and, if it is to be made again, its context."""
        if self.edit_options["share"]["store"] != "replay":
            return sampler.Shared(read)
        inside, piece, maps = read.kept()
        return sampler.Shared(read, self.guided(piece, inside.to(self.model.device), maps))

    def guided(self, piece: np.ndarray, inside: Tensor, maps: Sequence[np.ndarray]) -> Context:
        """`context` with the words and looks of B and what each control is shown, uint8 RGB [H, W, 3]."""
        context = self.context(piece, inside, self.words)
        hints = [control.hint(picture, context.texts[0]) for picture in maps]
        context.guides = [control.Guide(*each) for each in zip(self.controls, hints, strict=True)]
        context.looks = self.model.looks
        return context

    def close(self, opened: Opened, painted: np.ndarray) -> np.ndarray:
        """The whole keyframe with the painted crop, float32 RGB at work size, in its place."""
        box = opened.box
        return self.laid(opened, cv2.resize(painted, tuple(box[2:]), interpolation=_filter(box[2] < painted.shape[1])))

    def laid(self, opened: Opened, crop: np.ndarray) -> np.ndarray:
        """The whole keyframe with B of a crop, RGB of the box's size, 0 to 255, laid over it."""
        # Wider than the rim that `out` blends over, so that there the result has a single feather.
        rim = self.settings["feather"]
        return paste(opened.picture, crop, opened.box, feather(opened.labels > 0, rim, 2 * rim + 1))

    def start(self, source: list[Tensor], opened: list[Opened]) -> Tensor:
        """The latents [K, 4, h, w] that the first step starts from."""
        options, start = self.edit_options, source[self.first]
        if options["start"] == "noise":
            return self.noise(start)
        if options["start"] == "inversion" and options["standardize"] and self.first == 0:
            return torch.stack([sampler.standardized(z, one.inside) for z, one in zip(start, opened, strict=True)])
        return start

    def noise(self, like: Tensor, number: int = 0) -> Tensor:
        """The same noise for every keyframe, whatever the device; one for each number."""
        (seed,) = np.random.SeedSequence([self.edit_options["seed"], number]).generate_state(1)
        generator = torch.Generator("cpu").manual_seed(int(seed))
        return torch.randn(like.shape[1:], generator=generator).to(like).expand_as(like)


def constraint_of(edit: dict) -> sampler.Constraint:
    """config.Edit's as the sampler takes it."""
    ilvr, repaint = edit["ilvr"], edit["repaint"]
    return sampler.Constraint(
        edit["constrain"], edit["background"], ilvr["factor"], tuple(ilvr["window"]), repaint["jump"], repaint["times"]
    )


def options_of(attention: dict, share: dict | None = None, inject: dict | None = None) -> Options:
    """config.Attention, config.Share and config.Inject as the network's layers take them."""
    options = {
        "isolation": attention["isolation"], "pixels": attention["self"], "words": attention["words"],
        "isolated": tuple(attention["window"]),
    }  # fmt: skip
    if share:
        same = ("adain", "scale", "shift", "balance", "where")
        options |= {key: share[key] for key in same}
        options |= {"layers": tuple(share["layers"]), "shared": tuple(share["window"])}
        options["store"] = "kv" if share["store"] == "kv" else "hidden"
    if inject:
        options |= {"inject": inject["where"], "injected": tuple(inject["window"])}
        options["injecting"] = tuple(inject["layers"])
    return Options(**options)


def check_layers(unet, options: Options) -> None:
    """Raise UserError for a beginning of names that no layer has."""
    layers = [name for name in unet.attn_processors if name.endswith("attn1.processor")]
    for key, beginnings in {"share": options.layers, "inject": options.injecting}.items():
        for beginning in beginnings:
            if beginning != "all" and not any(name.startswith(beginning) for name in layers):
                blocks = sorted({name.partition(".attentions")[0] for name in layers})
                raise UserError(f"edit.{key}.layers: no layer begins with {beginning!r}; there are {', '.join(blocks)}")


def piece_of(picture: np.ndarray, box: list[int], size: tuple[int, int]) -> np.ndarray:
    """A crop of uint8 RGB [H, W, 3] at the size (width, height) that the model works on."""
    return cv2.resize(cut(picture, box), size, interpolation=_filter(box[2] > size[0]))


def _filter(shrinks: bool) -> int:
    return cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
