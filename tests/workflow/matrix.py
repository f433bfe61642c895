"""The specification of what re-runs: a change, and exactly the jobs that run after it.

The clip has 60 frames in two blocks: keyframes 0, 20 and 40 in 0000, 59 in 0001. Edits start from inversions, which is
a job more than from noise. `make rerun-docs` writes docs/rerun.md and README's table from it.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

BALL = {"path": "clip.mp4", "find": "the red circle", "replace": "a green star"}
MODELS = {
    "diffusion": "models/diffusion",
    "detector": {"weights": "models/dino.pth", "config": "models/dino.json", "text": "models/text"},
    "segmenter": "models/sam.pth",
    "flow": "models/raft.pth",
    "subject": {"weights": "models/viewer.safetensors", "encoder": "models/encoder"},
    "controls": {"edges": "models/edges", "depth": "other/edges"},
    "adapters": {"fur": "models/fur.safetensors", "wool": "other/fur.safetensors"},
}
WEIGHTS = (
    "diffusion/unet/weights.bin", "text/tokenizer.json", "encoder/weights.bin", "edges/weights.bin",
    "clip/weights.bin",
    "dino.pth", "dino.json", "sam.pth", "raft.pth", "viewer.safetensors", "fur.safetensors",
)  # fmt: skip
SQUEEZENET = "SqueezeNet1_1_Weights.IMAGENET1K_V1"  # in torch.hub's cache
WORDS = {
    "videos": {"ball": BALL}, "keyframes": {"every": 20}, "edit": {"start": "inversion"}, "models": MODELS,
    "report": {"enabled": False},
}  # fmt: skip


def ball(**keys: object) -> dict:
    """Changes to the one video."""
    return {"videos": {"ball": keys}}


def edit(**keys: object) -> dict:
    return {"edit": keys}


def masks(**keys: object) -> dict:
    return {"masks": keys}


def models(**keys: object) -> dict:
    return {"models": keys}


# What a row may begin with instead of WORDS: on top of it
REGIONS = [{"find": "the red circle", "replace": "a green star"}, {"find": "the cube", "replace": "a cone"}]
PICTURES = {"images": ["star.png"]}
CONTROL = {"model": "edges"}
BASES = {
    "words": {},
    "box": ball(box=[8, 8, 40, 40]),
    "files": masks(path="masks.mkv"),
    "folder": masks(path="drawn"),
    "attention": masks(method="attention"),
    "segment": masks(between="segment", path="masks.mkv"),
    "raft": {"flow": {"method": "raft"}},
    "noise": edit(start="noise"),
    "source": edit(start="source"),
    "given": edit(reference="star.png"),
    "ilvr": edit(constrain="ilvr"),
    "repaint": edit(constrain="repaint"),
    "inject": edit(inject={"where": "both"}),
    "grid": edit(layout="grid"),
    "alone": edit(share={"reference": False}),
    "control": edit(control=[CONTROL]),
    "adapters": edit(adapters=[{"model": "fur"}]),
    "pictures": ball(subject=PICTURES),
    "regions": ball(find=None, replace=None, regions=REGIONS),
    "lossless": {"encode": {"lossless": True}},
    "adaptive": {"keyframes": {"method": "adaptive", "every": None, "unreached": 0.7}},
    "edits": ball(edits={"moon": {"replace": "a yellow moon"}}),
    "report": {"report": {"enabled": True}},
    "eyes": {"report": {"enabled": True}, "models": {"clip": "models/clip"}},
    "strict": {"report": {"enabled": True, "strict": True}},
    "sweep": {"sweep": {"edit.guidance": [3, 6]}},
    "painted": {},  # with a keyframe painted over
}

OUT = {"stretch": 1, "out": 1}
PAGES = {"report": 1, "summary": 1}
EDIT = {"reference": 1, "edit": 2, "edited": 4} | OUT
INVERT = {"invert": 3}  # each block's, and the reference's
MOTION = {"flow": 2, "carried": 2}
PLAN = {"plan": 1} | INVERT | EDIT
SHAPE = {"masks": 2, "mask": 4} | PLAN | MOTION
CHOOSE = {"choose": 1} | SHAPE
FIND = {"candidates": 2} | CHOOSE
BLOCK = {  # one block's keyframes, of which there are two
    "keyframes": 1, "extract": 1, "keyframe": 2, "candidates": 1, "choose": 1, "masks": 1, "mask": 2, "plan": 1,
    "invert": 1, "edit": 1, "edited": 2,
}  # fmt: skip
FIVE = {  # five keyframes for four, of which the reference stays
    "keyframes": 1, "extract": 2, "keyframe": 5, "candidates": 2, "choose": 1, "masks": 2, "mask": 5, "plan": 1,
    "invert": 2, "edit": 2, "edited": 5,
}  # fmt: skip
ALL = {"keyframes": 1, "extract": 2, "keyframe": 4} | FIND


ORDER = (
    "keyframes", "extract", "keyframe", "candidates", "attributed", "choose", "masks", "mask", "plan", "subjects",
    "invert", "reference", "edit", "edited", "flow", "carried", "segmented", "stretch", "out", "measure",
    "perceive", "report", "summary", "judge",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A change and the jobs that run after it.

    group: README's row; keys: of the configuration; base: one of BASES; act: what is done to the folders of the project
    and of the workflow.
    """

    group: str
    change: str
    jobs: dict[str, int]
    keys: tuple[str, ...] = ()
    config: dict = field(default_factory=dict)
    base: str = "words"
    act: Callable[[Path, Path], None] | None = None


def key(name: str, config: dict, jobs: dict, group: str, base: str = "words", say: str = "") -> Row:
    """A row for one key of the configuration."""
    given = {"words": ""}.get(base, f", with {SAID.get(base, base)}")
    return Row(group, f"`{name}`{say}{given}", jobs, (name,), config, base)


SAID = {
    "box": "`box`", "files": "a mask video", "folder": "a folder of masks", "attention": "`masks.method: attention`",
    "segment": "`masks.between: segment`", "raft": "`flow.method: raft`", "noise": "`edit.start: noise`",
    "source": "`edit.start: source`", "ilvr": "`edit.constrain: ilvr`", "repaint": "`edit.constrain: repaint`",
    "inject": "`edit.inject.where: both`", "grid": "`edit.layout: grid`", "alone": "`edit.share.reference: false`",
    "control": "a ControlNet", "adapters": "a LoRA", "pictures": "pictures of B", "regions": "two regions",
    "lossless": "`encode.lossless`", "adaptive": "`keyframes.method: adaptive`", "edits": "`edits`",
    "painted": "painted pictures", "report": "a report", "eyes": "a CLIP", "given": "a picture as the reference",
}  # fmt: skip

# README's rows, in its order
REPLACE = "`replace`, anything else in `edit`"
PICTURED = "`subject`: pictures of B"
ADDED = "one more entry in `edits`, or a new name for one"
STEPS = "`edit.steps`, `edit.attention`, another diffusion model, `runtime.dtype`, `runtime.tiling`"
CONTAINER = "`encode.container`"
ENCODE = "anything else in `encode`; `out`"
FLOW = "`flow.method`, `flow.preset`, another RAFT"
MARGIN = "`flow.margin`"
BETWEEN = "`masks.between`"
FEATHER = "`plan`, `masks.feather`"
DILATE = "`masks.dilate` and other shapes"
THRESHOLD = "`masks.threshold`, `masks.pick`"
LOOK = "`find`, another detector or segmenter, `box`, other masks"
BYSELF = "`masks.method: attention`, its model"
KEYFRAMES = "a keyframe more or less, `range`"
CLIP = "another clip; `strict`, `keyframes.cut_threshold`"
REPORT = "`report`, its `models.clip` and `models.lpips`"
PAINTED = "a painted mask"
PAINTED_KEYFRAME = "a painted keyframe"
CODE = "a module of the code edited"
LOST = "a file of the results deleted"
NOTHING = (
    "the rest of `runtime`; `limits`; keys not in use; `preview`; `sweep`; an edit less; files touched; "
    "all of it moved or copied"
)

# What they say of it
SUMMARY = {
    REPLACE: "reference, edit, out",
    PICTURED: "subjects, reference, edit, out",
    ADDED: "its reference, edit, out",
    STEPS: "invert (where there is one), reference, edit, out",
    CONTAINER: "out, which only joins what is encoded",
    ENCODE: "out",
    FLOW: "flow, masks between keyframes (unless a mask video has them), out",
    MARGIN: "plan, flow, masks between keyframes, out",
    BETWEEN: "masks between keyframes, out",
    FEATHER: "plan; invert, reference, edit and out if it differs",
    DILATE: "masks, plan, and all below",
    THRESHOLD: "choose, and all below if the masks differ; no network looks again",
    LOOK: "candidates, choose, and all below if the masks differ (other words always invert and edit)",
    BYSELF: "attributed, choose, and all below if the masks differ",
    KEYFRAMES: "its block's masks, invert and edit, flow and masks around it, out; "
    "all edits only if the reference or the scale changes",
    CLIP: "keyframes, and all below if they differ",
    REPORT: "report, summary: nothing is measured again; with `strict` also judge; with other eyes perceive",
    PAINTED: "plan, its block's invert and edit, the masks around it, out; "
    "all edits only if the reference or the scale changes",
    PAINTED_KEYFRAME: "out, of which the stretches that show it",
    CODE: "the stages that use it, and what is below",
    LOST: "the job that made it, and what is below, up to a checkpoint that finds the same",
    NOTHING: "nothing",
}


def other(group: str, change: str, jobs: dict, act: Callable[[Path, Path], None] | None = None, **given: object) -> Row:
    """A row for what no key says."""
    return Row(group, change, jobs, act=act, **given)


def touch(*patterns: str, workflow: bool = False) -> Callable:
    """Make files of the project, or of the workflow, new."""

    def act(project: Path, tree: Path) -> None:
        folder = tree if workflow else project
        for path in (path for pattern in patterns for path in folder.glob(pattern)):
            os.utime(path)

    return act


def replace(*paths: str) -> Callable:
    """Another content, by a file that is older."""

    def act(project: Path, tree: Path) -> None:
        for path in paths:
            (project / path).write_text("another")
            os.utime(project / path, (0, 0))

    return act


def rewrite(project: Path, tree: Path) -> None:
    config = yaml.safe_load((project / "config.yaml").read_text())
    text = yaml.safe_dump(dict(reversed(config.items())) | {"out": {}}, sort_keys=False)
    (project / "config.yaml").write_text(f"# another\n{text}# end\n")


def append(module: str) -> Callable:
    def act(project: Path, tree: Path) -> None:
        with (tree / "scripts" / module).open("a") as file:
            file.write("# changed\n")

    return act


def delete(path: str) -> Callable:
    def act(project: Path, tree: Path) -> None:
        (found,) = project.glob(path)
        shutil.rmtree(found) if found.is_dir() else found.unlink()

    return act


def paint(stage: str, content: str) -> Callable:
    """Put `content` in the place of a picture; EXTENT in it stands for the extent that a mask had."""

    def act(project: Path, tree: Path) -> None:
        extent = (project / "masks/ball/000020.png").read_text().split('"')[3]
        target = project / f"{stage}_override/ball/000020.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content.replace("EXTENT", extent))

    return act


DRAWN = {"candidates": 1, "choose": 1, "masks": 1, "mask": 3, "plan": 1}  # a block's, and then the same
SAME_EXTENT = '{"extent": "EXTENT", "of": "a hand"}'
OTHER_EXTENT = '{"extent": "larger", "of": "a hand"}'

ROWS = [
    # --- videos
    key("videos.path", ball(path="moved.mp4"),
        {"keyframes": 1, "extract": 2, "keyframe": 4, "candidates": 2, "choose": 1, "masks": 2, "mask": 4, "plan": 1}
        | MOTION | OUT, CLIP, say=": the same clip elsewhere"),
    key("videos.path", ball(path="other.mp4"), ALL, CLIP, say=": another clip"),
    key("videos.range", ball(range=[0, 1.2]),
        {"keyframes": 1, "extract": 1, "keyframe": 3, "candidates": 1, "choose": 1, "masks": 1, "mask": 3, "plan": 1,
         "invert": 1, "edit": 1, "edited": 3, "flow": 1, "carried": 1} | OUT, KEYFRAMES),
    key("videos.strict", ball(strict=True), {"keyframes": 1}, CLIP),
    key("videos.find", ball(find="the red disc"), FIND, LOOK),
    key("videos.find", ball(find="it"), INVERT | EDIT, STEPS, "box"),
    key("videos.replace", ball(replace="a yellow moon"), EDIT, REPLACE),
    key("videos.text", ball(find=None, replace=None, text="replace the red circle with a green star"), {}, NOTHING,
        say=": the same in one sentence"),
    key("videos.box", ball(box=[8, 8, 40, 40]), FIND, LOOK, say=" instead of words"),
    key("videos.box", ball(box=[8, 8, 40, 48]), FIND, LOOK, "box"),
    key("videos.edits", ball(edits={"moon": {"replace": "a moon"}}), EDIT, ADDED, say=": one more"),
    key("videos.edits", ball(edits={"moon": None, "luna": {"replace": "a yellow moon"}}), EDIT, ADDED, "edits",
        ": another name"),
    key("videos.edits", ball(edits={"moon": None}), {}, NOTHING, "edits", ": one less"),
    key("videos.subject.images", ball(subject=PICTURES), {"subjects": 1} | EDIT, PICTURED, say=": given"),
    key("videos.subject.images", ball(subject={"images": ["moon.png"]}), {"subjects": 1} | EDIT, PICTURED, "pictures"),
    key("videos.subject.scale", ball(subject={"scale": 0.5}), EDIT, REPLACE, "pictures"),
    key("videos.subject.cutout", ball(subject={"cutout": False}), {"subjects": 1} | EDIT, PICTURED, "pictures"),
    key("videos.regions.find", ball(find=None, replace=None, regions=REGIONS[:1]), {}, NOTHING,
        say=" and `replace`: the same as a single region"),
    key("videos.regions.find", ball(regions=[REGIONS[0], REGIONS[1] | {"find": "the cone"}]), FIND, LOOK, "regions"),
    key("videos.regions.replace", ball(regions=[REGIONS[0], REGIONS[1] | {"replace": "a pin"}]), EDIT, REPLACE,
        "regions"),
    key("videos.regions.box", ball(regions=[r | {"box": [0, 0, 9, 9]} for r in REGIONS]), FIND, LOOK, "regions"),
    key("videos.regions.subject.images", ball(regions=[REGIONS[0], REGIONS[1] | {"subject": PICTURES}]),
        {"subjects": 1} | EDIT, PICTURED, "regions"),
    key("videos.regions.subject.scale", ball(find=None, replace=None, subject=None, regions=[
        REGIONS[0] | {"subject": PICTURES | {"scale": 0.5}}]), EDIT, REPLACE, "pictures"),
    key("videos.regions.subject.cutout", ball(find=None, replace=None, subject=None, regions=[
        REGIONS[0] | {"subject": PICTURES | {"cutout": False}}]), {"subjects": 1} | EDIT, PICTURED, "pictures"),
    # --- keyframes
    key("keyframes.every", {"keyframes": {"every": 30}},
        BLOCK | MOTION | OUT, KEYFRAMES, say=": two keyframes go, one comes"),
    key("keyframes.seconds", {"keyframes": {"every": None, "seconds": 0.8}}, {"keyframes": 1}, CLIP,
        say=": the same frames"),
    key("keyframes.count", {"keyframes": {"every": None, "count": 4}}, FIVE | MOTION | OUT, KEYFRAMES),
    key("keyframes.frames", {"keyframes": {"every": None, "frames": [0, 20, 40, 50, 59]}}, BLOCK | MOTION | OUT,
        KEYFRAMES, say=": one more, in the last block"),
    key("keyframes.frames", {"keyframes": {"every": None, "frames": [0, 40, 59]}},
        BLOCK | {"flow": 1, "carried": 1} | OUT, KEYFRAMES, say=": one less"),
    key("keyframes.method", {"keyframes": {"every": None, "method": "adaptive"}}, FIVE | MOTION | OUT, KEYFRAMES),
    key("keyframes.unreached", {"keyframes": {"unreached": 0.5}},
        BLOCK | {"keyframe": 4, "mask": 4, "edited": 4} | MOTION | OUT, KEYFRAMES, "adaptive"),
    key("keyframes.unreached", {"keyframes": {"unreached": 0.5}}, {}, NOTHING, say=", where they are spaced"),
    key("keyframes.region", {"keyframes": {"region": [0, 0, 9, 9]}}, {"keyframes": 1, "plan": 1} | MOTION | OUT,
        KEYFRAMES, "adaptive", ", where it finds the same keyframes"),
    key("keyframes.region", {"keyframes": {"region": [0, 0, 9, 9]}}, {}, NOTHING, say=", where they are spaced"),
    key("keyframes.cut_threshold", {"keyframes": {"cut_threshold": 30}}, {"keyframes": 1}, CLIP,
        say=", where it finds the same cuts"),
    # --- masks
    key("masks.method", masks(method="attention"), {"attributed": 2} | CHOOSE, BYSELF, say=": attention"),
    key("masks.path", masks(path="masks.mkv"), FIND, LOOK, say=" instead of words"),
    key("masks.path", masks(path="other.mkv"), FIND, LOOK, "files"),
    key("masks.threshold", masks(threshold=0.5), CHOOSE, THRESHOLD),
    key("masks.threshold", masks(threshold=0.5), {}, NOTHING, "box"),
    key("masks.pick", masks(pick="largest"), CHOOSE, THRESHOLD),
    key("masks.pick", masks(pick="largest"), {}, NOTHING, "files"),
    key("masks.least", masks(least=9), SHAPE, DILATE),
    key("masks.fill_holes", masks(fill_holes=True), SHAPE, DILATE),
    key("masks.hull", masks(hull=True), SHAPE, DILATE),
    key("masks.shape", masks(shape="loose"), SHAPE, DILATE),
    key("masks.dilate", masks(dilate=3), SHAPE, DILATE),
    key("masks.between", masks(between="segment"), {"segmented": 2} | OUT, BETWEEN),
    key("masks.between", masks(between="flow"), {}, NOTHING, say=": flow, which `auto` is here"),
    key("masks.between", masks(between="flow"), {"carried": 2} | OUT, BETWEEN, "files"),
    key("masks.feather", masks(feather=9), PLAN, FEATHER),
    # --- plan
    key("plan.reference", {"plan": {"reference": 20}}, {"plan": 1, "invert": 2} | EDIT, FEATHER),
    key("plan.margin", {"plan": {"margin": 0.5}}, PLAN, FEATHER),
    key("plan.size", {"plan": {"size": 96}}, PLAN, FEATHER),
    # --- edit
    key("edit.preset", edit(preset="shape_guided"), INVERT | EDIT, STEPS),
    key("edit.preset", edit(preset="clevam"), {}, NOTHING, say=": what it is anyway"),
    key("edit.steps", edit(steps=10), INVERT | EDIT, STEPS),
    key("edit.steps", edit(steps=10), EDIT, REPLACE, "noise"),
    key("edit.guidance", edit(guidance=7), EDIT, REPLACE),
    key("edit.reference", edit(reference="star.png"), EDIT, REPLACE, say=": given"),
    key("edit.reference", edit(reference="moon.png"), EDIT, REPLACE, "given", ": another picture"),
    key("edit.seed", edit(seed=1), EDIT, REPLACE, "noise"),
    key("edit.seed", edit(seed=1), {}, NOTHING, say=", with an inversion"),
    key("edit.negative", edit(negative="blurry"), EDIT, REPLACE),
    key("edit.start", edit(start="source"), EDIT, REPLACE),
    key("edit.strength", edit(strength=0.5), EDIT, REPLACE, "source"),
    key("edit.standardize", edit(standardize=False), EDIT, REPLACE),
    key("edit.standardize", edit(standardize=False), {}, NOTHING, "noise"),
    key("edit.constrain", edit(constrain="none"), EDIT, REPLACE),
    key("edit.background", edit(background="official"), EDIT, REPLACE),
    key("edit.background", edit(background="official"), {}, NOTHING, "ilvr"),
    key("edit.layout", edit(layout="grid"), EDIT, REPLACE),
    key("edit.tiles", edit(tiles=[3, 2]), EDIT, REPLACE, "grid"),
    key("edit.tiles", edit(tiles=[3, 2]), {}, NOTHING),
    key("edit.ilvr.factor", edit(ilvr={"factor": 8}), EDIT, REPLACE, "ilvr"),
    key("edit.ilvr.factor", edit(ilvr={"factor": 8}), {}, NOTHING),
    key("edit.ilvr.window", edit(ilvr={"window": [0, 0.5]}), EDIT, REPLACE, "ilvr"),
    key("edit.repaint.jump", edit(repaint={"jump": 3}), EDIT, REPLACE, "repaint"),
    key("edit.repaint.times", edit(repaint={"times": 2}), EDIT, REPLACE, "repaint"),
    key("edit.repaint.times", edit(repaint={"times": 2}), {}, NOTHING),
    key("edit.inject.where", edit(inject={"where": "outside"}), EDIT, REPLACE),
    key("edit.inject.layers", edit(inject={"layers": ["all"]}), EDIT, REPLACE, "inject"),
    key("edit.inject.layers", edit(inject={"layers": ["all"]}), {}, NOTHING),
    key("edit.inject.window", edit(inject={"window": [0, 0.3]}), EDIT, REPLACE, "inject"),
    key("edit.control.model", edit(control=[CONTROL]), EDIT, REPLACE, say=": one more"),
    key("edit.control.model", edit(control=[{"model": "depth"}]), EDIT, REPLACE, "control"),
    key("edit.control.maps", edit(control=[CONTROL | {"maps": "drawn"}]), EDIT, REPLACE, "control"),
    key("edit.control.scale", edit(control=[CONTROL | {"scale": 0.5}]), EDIT, REPLACE, "control"),
    key("edit.control.window", edit(control=[CONTROL | {"window": [0, 0.5]}]), EDIT, REPLACE, "control"),
    key("edit.control.where", edit(control=[CONTROL | {"where": "inside"}]), EDIT, REPLACE, "control"),
    key("edit.adapters.model", edit(adapters=[{"model": "wool"}]), EDIT, REPLACE, "adapters"),
    key("edit.adapters.scale", edit(adapters=[{"model": "fur", "scale": 0.5}]), EDIT, REPLACE, "adapters"),
    *(key(f"edit.attention.{name}", edit(attention={name: value}), INVERT | EDIT, STEPS)
      for name, value in {"isolation": "none", "self": "official", "words": "whole", "window": [0, 1]}.items()),
    *(key(f"edit.share.{name}", edit(share={name: value}), EDIT, REPLACE)
      for name, value in {
          "reference": False, "where": "both", "layers": ["up"], "window": [0, 1], "adain": False, "scale": 0.9,
          "shift": 0.7, "balance": False, "store": "hidden", "previous": 2}.items()),
    key("edit.share.shift", edit(share={"shift": 0.7}), {}, NOTHING, "alone"),
    # --- flow, out, encode
    key("flow.method", {"flow": {"method": "raft"}}, MOTION | OUT, FLOW),
    key("flow.preset", {"flow": {"preset": "fast"}}, MOTION | OUT, FLOW),
    key("flow.preset", {"flow": {"preset": "fast"}}, {}, NOTHING, "raft"),
    key("flow.preset", {"flow": {"preset": "fast"}}, {"flow": 2} | OUT, FLOW, "files"),
    key("flow.margin", {"flow": {"margin": 0.5}}, {"plan": 1} | MOTION | OUT, MARGIN),
    key("out.follow_light", {"out": {"follow_light": True}}, OUT, ENCODE),
    key("out.smooth", {"out": {"smooth": 0.5}}, OUT, ENCODE),
    key("encode.container", {"encode": {"container": "mkv"}}, {"out": 1}, CONTAINER),
    *(key(f"encode.{name}", {"encode": {name: value}}, OUT, ENCODE)
      for name, value in {"codec": "libx265", "crf": 30, "preset": "fast", "lossless": True, "pix_fmt": "yuv420p",
                          "extra": {"tune": "film"}}.items()),
    key("encode.crf", {"encode": {"crf": 30}}, {}, NOTHING, "lossless"),
    # --- models
    key("models.diffusion", models(diffusion="moved/diffusion"), {}, NOTHING, say=": the same elsewhere"),
    key("models.diffusion", models(diffusion="other/diffusion"), INVERT | EDIT, STEPS),
    key("models.diffusion", models(diffusion="other/diffusion"), {"attributed": 2} | CHOOSE, BYSELF, "attention"),
    key("models.variant", models(variant="fp16"), INVERT | EDIT, STEPS),
    key("models.detector.weights", models(detector={"weights": "other/dino.pth"}), FIND, LOOK),
    key("models.detector.weights", models(detector={"weights": "other/dino.pth"}), {}, NOTHING, "files"),
    key("models.detector.config", models(detector={"config": "other/dino.json"}), FIND, LOOK),
    key("models.detector.text", models(detector={"text": "other/text"}), FIND, LOOK),
    key("models.segmenter", models(segmenter="other/sam.pth"), FIND, LOOK),
    key("models.segmenter", models(segmenter="other/sam.pth"), {"segmented": 2} | OUT, BETWEEN, "segment"),
    key("models.flow", models(flow="other/raft.pth"), MOTION | OUT, FLOW, "raft"),
    key("models.flow", models(flow="other/raft.pth"), {}, NOTHING),
    key("models.subject.weights", models(subject={"weights": "other/viewer.safetensors"}), EDIT, REPLACE, "pictures"),
    key("models.subject.weights", models(subject={"weights": "other/viewer.safetensors"}), {}, NOTHING),
    key("models.subject.encoder", models(subject={"encoder": "other/encoder"}), EDIT, REPLACE, "pictures"),
    key("models.controls", models(controls={"edges": "other/edges"}), EDIT, REPLACE, "control"),
    key("models.controls", models(controls={"poses": "other/edges"}), {}, NOTHING, say=": one more, unused"),
    key("models.adapters", models(adapters={"fur": "other/fur.safetensors"}), EDIT, REPLACE, "adapters"),
    key("models.adapters", models(adapters={"silk": "other/fur.safetensors"}), {}, NOTHING, say=": one more, unused"),
    key("models.lpips", models(lpips=SQUEEZENET), {"perceive": 1} | PAGES, REPORT, "report"),
    key("models.lpips", models(lpips=SQUEEZENET), {}, NOTHING),
    key("models.clip", models(clip="other/clip"), {"perceive": 1} | PAGES, REPORT, "eyes"),
    key("models.clip", models(clip="moved/clip"), {}, NOTHING, "eyes", say=": the same elsewhere"),
    # --- runtime, sweep
    key("runtime.device", {"runtime": {"device": "cpu"}}, {}, NOTHING),
    key("runtime.offload", {"runtime": {"offload": "model"}}, {}, NOTHING),
    key("runtime.batch", {"runtime": {"batch": 4}}, {}, NOTHING),
    key("runtime.gpu_share", {"runtime": {"gpu_share": 2}}, {}, NOTHING),
    key("runtime.warm", {"runtime": {"warm": False}}, {}, NOTHING),
    key("limits.frames", {"limits": {"frames": 10}}, {}, NOTHING),
    key("limits.seconds", {"limits": {"seconds": 1}}, {}, NOTHING),
    key("limits.pixels", {"limits": {"pixels": 9}}, {}, NOTHING),
    key("limits.disk", {"limits": {"disk": 1}}, {}, NOTHING),
    key("runtime.dtype", {"runtime": {"dtype": "bfloat16"}}, INVERT | EDIT, STEPS),
    key("runtime.tiling", {"runtime": {"tiling": True}}, INVERT | EDIT, STEPS),
    key("preview.seeds", {"preview": {"seeds": 9}}, {}, NOTHING),
    key("preview.steps", {"preview": {"steps": 5}}, {}, NOTHING),
    key("sweep", {"sweep": {"edit.guidance": [3, 6]}}, {}, NOTHING),
    key("yes", {"yes": True}, {}, NOTHING),
    # --- report
    key("edit.guidance", edit(guidance=9), EDIT | {"measure": 1} | PAGES, REPLACE, base="report"),
    key("report.enabled", {"report": {"enabled": True}}, {"measure": 1} | PAGES, REPORT, say=": on"),
    key("report.enabled", {"report": {"enabled": False}}, {}, NOTHING, base="report", say=": off"),
    key("report.strict", {"report": {"strict": True}}, {"judge": 1}, REPORT, base="report"),
    *(key(f"report.alarm.{name}", {"report": {"alarm": {name: 0.9}}}, PAGES, REPORT, base="report") for name in (
        "background_psnr", "background_ssim", "exactness", "warp_error_inside", "warp_ssim", "confidence", "mask_iou",
    )),
    # --- what no key says
    other(LOOK, "`find` and `replace` swapped", FIND, config=ball(find="a green star", replace="the red circle")),
    other(REPLACE, "a key given under `videos.<name>` and not at the top", EDIT, config=ball(edit={"guidance": 7})),
    other(NOTHING, "keys in another order, comments, an empty section", {}, rewrite),
    other(NOTHING, "the folder moved, or copied by `rsync -a` (every row here is)", {}),
    other(NOTHING, "a fresh clone of the workflow: all of its files are new", {}, touch("**/*", workflow=True)),
    other(NOTHING, "the clip touched", {}, touch("clip.mp4")),
    other(CLIP, "another clip in its place, though it be older", ALL, replace("clip.mp4")),
    other(NOTHING, "a mask video touched", {}, touch("masks.mkv"), base="files"),
    other(LOOK, "another mask video in its place, though it be older", FIND, replace("masks.mkv"), base="files"),
    other(LOOK, "another picture in a folder of masks",
          {"candidates": 1, "choose": 1, "masks": 1, "mask": 3} | PLAN | MOTION, replace("drawn/000020.png"),
          base="folder"),
    other(NOTHING, "weights touched", {}, touch("models/**/*")),
    other(STEPS, "other weights in their place, though they be older", INVERT | EDIT,
          replace("models/diffusion/unet/weights.bin")),
    other(PICTURED, "another picture of B in its place", {"subjects": 1} | EDIT, replace("star.png"), base="pictures"),
    other(NOTHING, "every picture of the results touched", {}, touch("**/*.png")),
    # --- by hand
    other(PAINTED, "a mask painted over, A as large as before",
          {"choose": 1, "mask": 1, "plan": 1, "invert": 1, "edit": 1, "edited": 3, "carried": 1} | OUT,
          paint("masks", SAME_EXTENT)),
    other(PAINTED, "a mask painted over, A larger",
          {"choose": 1, "mask": 1, "flow": 1, "carried": 1} | PLAN, paint("masks", OTHER_EXTENT)),
    other(PAINTED_KEYFRAME, "an edited keyframe painted over", {"edited": 1} | OUT, paint("edited", "painted")),
    other(PAINTED_KEYFRAME, "one painted over again, by an older picture", {"edited": 1} | OUT,
          replace("edited_override/ball/000020.png"), base="painted"),
    other(PAINTED_KEYFRAME, "the painted one taken away", {"edited": 1} | OUT,
          delete("edited_override/ball/000020.png"), base="painted"),
    # --- the code
    *(other(CODE, f"`scripts/{name}` edited", jobs, append(name)) for name, jobs in {
        "edit.py": {"edit": 2, "edited": 4} | OUT,
        "clevam/attention.py": INVERT | EDIT,
        "clevam/identity.py": {"choose": 1},
        "clevam/plan.py": {"plan": 1},
        "clevam/carry.py": {"carried": 2} | OUT,
        "clevam/propagate.py": OUT,
        "clevam/join.py": {"out": 1},
        "clevam/config.py": {},
        "clevam/jobs.py": {},
        "clevam/errors.py": ALL}.items()),
    # --- what is lost
    *(other(LOST, f"`{path}` deleted", jobs, delete(path)) for path, jobs in {
        "keyframes/ball/index.json": {"keyframes": 1},
        "work/keyframes/ball/0000": {"extract": 1, "keyframe": 3} | DRAWN,
        "keyframes/ball/000020.png": {"keyframe": 1} | DRAWN,
        "work/candidates/ball/0000": DRAWN,
        "masks/ball/masks.json": {"choose": 1},
        "work/masks/ball/0000": {"masks": 1, "mask": 3, "plan": 1},
        "masks/ball/000020.png": {"mask": 1, "plan": 1},
        "plan/ball.json": {"plan": 1},
        "work/inverted/ball/*/0000": {"invert": 1, "edit": 1, "edited": 3} | OUT,
        "work/inverted/ball/*/reference": {"invert": 1} | EDIT,
        "edited/ball/reference.png": EDIT,
        "edited/ball/reference": {},
        "work/edited/ball/0000": {"edit": 1, "edited": 3} | OUT,
        "edited/ball/000020.png": {"edited": 1} | OUT,
        "flow/ball/0000": {"flow": 1, "carried": 1} | OUT,
        "masks_frames/ball/0000": {"carried": 1} | OUT,
        "work/out/ball/0000.nut": OUT,
        "out/ball.mp4": {"out": 1}}.items()),
]  # fmt: skip
