"""The configuration: what a user may write, with defaults and ranges. They are written down nowhere else."""

import difflib
import re
import reprlib
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from clevam import sentence, table
from clevam.errors import UserError


def _encloses(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    if box[0] >= box[2] or box[1] >= box[3]:
        raise ValueError(f"box {list(box)} is empty: give x0, y0, x1, y1 with x0 < x1 and y0 < y1")
    return box


Box = Annotated[tuple[float, float, float, float], AfterValidator(_encloses)]
Phrase = Annotated[str, Field(min_length=1)]
_REFUSED = r'/\\{}*?"<>|\x00-\x1f\x7f-\x9f'
Name = Annotated[
    str,
    Field(pattern=rf"^[^\s.{_REFUSED}]([^{_REFUSED}]*[^\s.{_REFUSED}])?$"),
    BeforeValidator(lambda name: str(name) if isinstance(name, int) else name),  # YAML takes 2024 for a number
]

PRESETS = (
    "clevam", "shape_guided", "style_aligned", "sdedit", "ilvr", "repaint", "fatezero", "plug_and_play", "ddim",
    "style",
)  # fmt: skip

PICKS = ("best", "all", "largest", "smallest", "leftmost", "rightmost", "topmost", "lowest")

NAME_RULE = (
    "a name may not be empty, begin or end with a dot or a space, or hold control characters or any of "
    '/ \\ { } * ? " < > |'
)


class Section(BaseModel):
    """A mapping of the configuration. Unknown keys are errors at every level."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


class Keyframes(Section):
    """Which frames are edited. `spaced`: as one of `every`, `seconds`, `count` and `frames` says, and the first and the
    last frame of every shot. `adaptive`: as few as the motion allows; the first of every shot, perhaps no other."""

    method: Literal["spaced", "adaptive"] = Field(
        "spaced", description="`adaptive`: a new one where too much of the picture is no longer seen in the last"
    )
    every: PositiveInt | None = Field(None, description="every N-th frame of a shot (12 if nothing else is given)")
    seconds: Annotated[float, Field(ge=0.001)] | None = Field(None, description="one every s seconds")
    count: PositiveInt | None = Field(None, description="n keyframes, spread evenly over the range")
    frames: list[NonNegativeInt] | None = Field(None, description="just these frame numbers")
    unreached: float = Field(
        0.6,
        ge=0,
        lt=1,
        description="for `adaptive`: how much may come into view before there is a new one, as a share of the worst of "
        "the 4 x 4 cells of a grid; less gives more keyframes",
    )
    region: Box | None = Field(
        None, description="for `adaptive`: x0, y0, x1, y1 in pixels of the upright picture; only this is looked at"
    )
    cut_threshold: float = Field(27.0, gt=0, description="a shot ends where the picture changes by more (scenedetect)")

    @model_validator(mode="after")
    def _one_method(self) -> "Keyframes":
        given = " and ".join(self.spacing())
        if len(self.spacing()) > 1:
            raise ValueError(f"give one of {', '.join(self.SPACINGS)}, not {given}")
        if self.method == "adaptive" and given:
            raise ValueError(f"method: adaptive finds the keyframes by itself; leave out {given}, or give unreached")
        return self

    SPACINGS: typing.ClassVar = ("every", "seconds", "count", "frames")

    def spacing(self) -> dict[str, Any]:
        """The keys among SPACINGS that are given."""
        return {k: getattr(self, k) for k in self.SPACINGS if getattr(self, k) is not None}


def _counts(number: int) -> int:
    if number == 0:
        raise ValueError("1 is the first from the left, -1 the first from the right")
    return number


class Masks(Section):
    """Where A is, on every keyframe."""

    method: Literal["auto", "grounded_sam", "attention", "files", "box"] = Field(
        "auto",
        description="`grounded_sam`: by the words of `find`; `attention`: by words and the diffusion model alone, less "
        "well; `files`: from `path`; `box`: from the regions' boxes; `auto`: `files` if there is a `path`, `box` if "
        "there are boxes, else grounded_sam",
    )
    path: str | None = Field(None, description="a folder of label maps <idx>.png, or a mask video (for `files`)")
    threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="how sure it must be that something is A (0.3; 0.4 for `attention`), a third if motion and looks "
        "agree",
    )
    pick: Literal[PICKS] | Annotated[int, AfterValidator(_counts)] = Field(
        "best",
        description="which one, where several are found: the surest, all, by size or place, or a number from the left, "
        "below 0 from the right; it is followed through the clip. Words in `find` win: the leftmost dog, all the dogs",
    )
    least: NonNegativeInt = Field(0, description="connected parts of fewer pixels are no part of A")
    fill_holes: bool = Field(False, description="what A surrounds is A")
    hull: bool = Field(False, description="the smallest convex shape around A")
    shape: Literal["strict", "loose"] = Field(
        "strict", description="`loose`: more room, for a B that is larger than A: its hull, and some more around it"
    )
    dilate: int = Field(0, ge=-200, le=200, description="pixels more around A, or less")
    between: Literal["auto", "flow", "segment"] = Field(
        "auto",
        description="on the frames between keyframes: `flow`, carried there by the source's motion; `segment`, filled "
        "anew by `models.segmenter`; `auto`: as in `path` where that is a video, else flow",
    )
    feather: NonNegativeInt = Field(6, le=200, description="width of the soft rim around the mask, in pixels")


class Plan(Section):
    """What all keyframes of a clip share: the reference and the scale."""

    reference: Literal["first", "medoid"] | NonNegativeInt = Field(
        "first",
        description="`first` keyframe with A in it; `medoid`: the one whose A is most like all others; or a frame",
    )
    margin: float = Field(0.25, ge=0, le=4, description="room around A in the edited crop, as a share of A's size")
    size: Annotated[int, Field(ge=1, le=8192)] | None = Field(
        None, description="short side of the crop inside the model, px, rounded up to what the model can take (its own)"
    )


def _window(window: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= window[0] < window[1] <= 1:
        raise ValueError("should be two shares of the steps, the first one smaller, e.g. [0, 0.5]")
    return window


# Shares of the steps, 0 the noisiest
Window = Annotated[tuple[float, float], AfterValidator(_window)]


Layers = Annotated[
    list[Phrase],
    Field(min_length=1),
    BeforeValidator(lambda layers: [layers] if isinstance(layers, str) else layers),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]


Seed = Annotated[int, Field(ge=0, lt=1 << 32)]


class Attention(Section):
    """How pixels and words may look at each other, in the inversion and while B is painted."""

    isolation: Literal["both", "outside_only", "none"] = Field(
        "both",
        description="`both`: inside looks at inside, outside at outside; `outside_only`: inside also looks at outside; "
        "`none`: everything at everything",
    )
    self: Literal["renorm", "official"] = Field(
        "renorm", description="looks at other regions are dropped before the softmax, or as in Shape-guided Diffusion"
    )
    words: Literal["renorm", "official", "whole"] = Field(
        "renorm",
        description="each region has its own; `official`: as in Shape-guided Diffusion; `whole`: one text for all",
    )
    window: Window = Field((0.0, 0.6), description="share of the steps in which `isolation` holds")


class Share(Section):
    """How every keyframe looks at the first edited one (StyleAligned)."""

    reference: bool = Field(True, description="every keyframe also looks at the reference's keys and values")
    where: Literal["inside", "both"] = Field("inside", description="`both`: also outside at the reference's outside")
    layers: Layers = Field(
        ["all"], description="layers that share, by the beginnings of their names: `up`, the decoder's; or `all`"
    )
    window: Window = Field((0.0, 0.6), description="share of the steps in which the reference is looked at")
    adain: bool = Field(True, description="queries and keys take the reference's mean and spread before sharing")
    scale: float = Field(1.0, ge=0, le=10, description="what the reference's keys are multiplied by")
    shift: float = Field(0.0, ge=-10, le=10, description="what its logits are raised by; 0.69 doubles its weight")
    balance: bool = Field(True, description="the reference weighs the same whatever the size of A in it")
    store: Literal["kv", "hidden", "replay"] = Field(
        "kv", description="what is kept of the reference: keys and values, half of it, or nearly nothing but more time"
    )
    previous: NonNegativeInt = Field(
        0, le=8, description="so many keyframes before it in the shot are looked at too; they wait for one another"
    )

    @model_validator(mode="after")
    def _previous_follow_a_reference(self) -> "Share":
        if self.previous and not self.reference:
            raise ValueError("previous needs reference: true, since the first of all has none before it")
        return self


class Inject(Section):
    """Queries and keys taken from the frame's own inversion, which keep its layout (Plug-and-Play, FateZero)."""

    where: Literal["none", "inside", "outside", "both"] = Field("none", description="whose")
    layers: Layers = Field(["up"], description="in which layers, by the beginnings of their names; or `all`")
    window: Window = Field((0.0, 0.5), description="share of the steps in which they are taken")


class Ilvr(Section):
    """The source's low frequencies, kept in all of the crop (ILVR); for `constrain: ilvr`."""

    factor: int = Field(4, ge=2, le=64, description="cells of the latent that one value of the low frequencies covers")
    window: Window = Field((0.0, 0.8), description="share of the steps in which they are kept")


class Repaint(Section):
    """Steps that are gone several times, with noise added in between (RePaint); for `constrain: repaint`."""

    jump: PositiveInt = Field(5, le=999, description="steps that are gone again")
    times: PositiveInt = Field(3, le=100, description="how often")


class Control(Section):
    """A ControlNet that holds the shape of what is painted: edges, depth, poses."""

    model: Name = Field(description="its name among `models.controls`")
    maps: Literal["canny"] | Phrase = Field(
        "canny", description="what it is shown: `canny`, edges of the keyframe, or a folder of maps <idx>.png"
    )
    scale: float = Field(1.0, ge=0, le=4, description="how much of what it says is added")
    window: Window = Field((0.0, 1.0), description="share of the steps in which it is")
    where: Literal["inside", "outside", "both"] = Field("both", description="in which part of the crop")


class Adapter(Section):
    """A small file that changes the checkpoint for the edit: a LoRA, or a learnt word, which is written <name>."""

    model: Name = Field(description="its name among `models.adapters`")
    scale: float = Field(1.0, ge=-4, le=4, description="how much of a LoRA is added")


class Edit(Section):
    """How B is painted into the keyframes."""

    preset: Literal[PRESETS] = Field(
        "clevam", description="a method of the literature (config/presets); other keys that are given win over its own"
    )
    steps: PositiveInt = Field(20, le=999, description="DDIM steps, for the inversion and for the edit")
    guidance: float = Field(4.5, ge=1, le=30, description="classifier-free guidance; 1 is none")
    seed: Seed = Field(0, description="of the noise, where there is any: not with an inversion")
    negative: str = Field("", description="what should not appear")
    reference: Phrase | None = Field(
        None,
        description="a picture of the reference keyframe with B in it, as large as the clip: taken instead of painting "
        "one; the other keyframes look at it",
    )
    start: Literal["noise", "inversion", "source"] = Field(
        "noise",
        description="what the first step starts from: only noise; A's way back to noise, which keeps its pose; or A "
        "under noise (SDEdit)",
    )
    strength: float = Field(
        1.0, gt=0, le=1, description="share of the steps that are done; less keeps more of A; not for `start: noise`"
    )
    standardize: bool = Field(
        True,
        description="an inverted start is brought to mean 0 and spread 1 in A: its colour goes, its pose stays",
    )
    constrain: Literal["background", "none", "ilvr", "repaint"] = Field(
        "background",
        description="what holds every step to the source: the latent around A, nothing, low frequencies, or the latent "
        "around A in steps that are repeated. Whatever it is, the result is the source outside the mask",
    )
    background: Literal["matched", "official"] = Field(
        "matched",
        description="noise level of the source around A; `official`: one step behind, as in Shape-guided",
    )
    layout: Literal["single", "grid"] = Field(
        "single", description="`grid`: several keyframes are painted together, as `tiles` of one picture"
    )
    tiles: tuple[Annotated[int, Field(ge=1, le=8)], Annotated[int, Field(ge=1, le=8)]] = Field(
        (2, 2), description="columns and rows of a grid"
    )
    ilvr: Ilvr = Ilvr()
    repaint: Repaint = Repaint()
    inject: Inject = Inject()
    control: list[Control] = Field([], description="ControlNets, all at once")
    adapters: list[Adapter] = Field([], description="LoRAs and learnt words, all at once")
    attention: Attention = Attention()
    share: Share = Share()

    @model_validator(mode="after")
    def _noise_is_the_start(self) -> "Edit":
        given = "start" in self.model_fields_set  # what is not may come from another level, at last from the preset
        if given and self.start == "noise" and self.strength < 1:
            raise ValueError("strength below 1 needs start: source or inversion, since noise has all the way to go")
        return self

    @model_validator(mode="after")
    def _one_order(self) -> "Edit":
        if self.layout == "grid" and self.share.previous:
            raise ValueError("layout: grid paints keyframes together, share.previous one after the other: give one")
        return self


class Flow(Section):
    """Motion of the original video."""

    method: Literal["dis", "raft"] = Field(
        "dis", description="`dis`: OpenCV's dense inverse search; `raft`: the network `models.flow`"
    )
    preset: Literal["ultrafast", "fast", "medium"] = Field("medium", description="of `dis`")
    margin: float = Field(
        0.25, ge=0, le=4, description="room around A in which motion is measured, as a share of A's size"
    )


class Out(Section):
    """How keyframes' edits reach the other frames."""

    follow_light: bool = Field(
        False, description="B grows brighter and darker between keyframes as the source does where A is"
    )
    smooth: float = Field(
        0.0, ge=0, le=1, description="how much of its neighbours' edits is mixed into a keyframe's, against flicker"
    )


def _encoder_options(options: dict[str, Any]) -> dict[str, Any]:
    for name, value in options.items():
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
            raise ValueError(f"{name!r} is no name of an encoder's option")
        if not isinstance(value, bool | int | float | str) or not re.fullmatch(r"[\w.,:+-]+", str(value), re.ASCII):
            raise ValueError(f"{name} should be a number, true, false or a word, not {reprlib.repr(value)}")
    return options


def _planar(pix_fmt: str) -> str:
    if not re.fullmatch(r"yuv4[0-4][0-4]p(9|1[0246])?(le)?", pix_fmt):
        raise ValueError(f"give planar YUV, as yuv420p or yuv422p10le, not {pix_fmt!r}")
    return pix_fmt


class Encode(Section):
    """How the result is written."""

    container: Literal["mp4", "mov", "mkv"] = Field("mp4", description="of the result, out/<name>.<container>")
    codec: str = Field("libx264", pattern=r"^[A-Za-z0-9_-]+$", description="any video encoder of ffmpeg")
    crf: float = Field(18, ge=0, le=63, description="quality, lower is better; not used with `lossless`")
    preset: str = Field("medium", pattern=r"^[A-Za-z0-9_-]+$", description="encoder speed")
    lossless: bool = Field(False, description="every sample as composited (libx264, libx265, ffv1)")
    pix_fmt: Annotated[str, AfterValidator(_planar)] | None = Field(
        None,
        description="samples of the result, as yuv420p for players that know no other (those of the source)",
    )
    extra: Annotated[dict[str, Any], AfterValidator(_encoder_options)] = Field(
        {}, description="more options of the encoder by ffmpeg's names, as {tune: film, g: 48}; none that names a file"
    )


class Detector(Section):
    """GroundingDINO, which finds boxes by words: its published files."""

    weights: Phrase = Field("demo/models/grounding/weights.pth", description="the state dict")
    config: Phrase = Field("demo/models/grounding/config.json", description="its settings, .py (never run) or .json")
    text: Phrase = Field("demo/models/grounding/text", description="a folder with its BERT's config and tokenizer")


class Viewer(Section):
    """An IP-Adapter, which shows the diffusion model pictures of what B looks like, for `subject`."""

    weights: Phrase | None = Field(None, description="its .safetensors, as ip-adapter_sd15.safetensors")
    encoder: Phrase | None = Field(None, description="the folder of the CLIP vision model that reads pictures for it")


class Models(Section):
    """Weights: local files and folders, or `owner/name@revision/file` on the Hugging Face Hub (`snakemake fetch`)."""

    diffusion: Phrase = Field("demo/models/diffusion", description="a Stable Diffusion folder in diffusers' layout")
    variant: Literal["fp16"] | None = Field(None, description="which of its files, where there are several precisions")
    detector: Detector = Detector()
    subject: Viewer = Viewer()
    segmenter: Phrase = Field(
        "demo/models/segmentation/weights.pth",
        description="Segment Anything, which fills boxes: its state dict, sam_vit_b, sam_vit_l, sam_vit_h, or of "
        "other sizes, which then stand in a .json of the same name beside it",
    )
    flow: Phrase = Field(
        "Raft_Small_Weights.C_T_V2",
        description="torchvision's name of RAFT weights, or a file with raft_small's or raft_large's",
    )
    controls: dict[Name, Phrase] = Field({}, description="ControlNets by any name, for `edit.control`: folders")
    lpips: (
        Literal["AlexNet_Weights.IMAGENET1K_V1", "SqueezeNet1_1_Weights.IMAGENET1K_V1", "VGG16_Weights.IMAGENET1K_V1"]
        | None
    ) = Field(None, description="torchvision's name of a network to measure LPIPS by, for the report")
    clip: Phrase | None = Field(
        None, description="the folder of a CLIP in transformers' layout to measure CLIP-T and CLIP-F by, for the report"
    )
    adapters: dict[Name, Phrase] = Field(
        {},
        description="LoRAs and learnt words (textual inversion) by any name, for `edit.adapters`: .safetensors files",
    )


class Runtime(Section):
    """Where and how it runs. `dtype` and `tiling` change pictures a little and re-run the edits, nothing else does."""

    device: Literal["auto", "cuda", "cpu"] = Field("auto", description="`auto`: CUDA where there is one")
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto", description="precision of the diffusion model; `auto`: float16 on CUDA, else float32"
    )
    offload: Literal["none", "model", "layers"] = Field(
        "none", description="keep weights in main memory until they are used, `model` by model or `layers` by layers"
    )
    tiling: bool = Field(False, description="decode pictures piece by piece: less memory, faint seams")
    batch: PositiveInt = Field(
        1,
        description="keyframes in the network at a time: faster on a GPU, more memory; where that runs out there are "
        "fewer, then `tiling`",
    )
    gpu_share: PositiveInt = Field(
        1,
        le=64,
        description="jobs on one GPU at a time; raise it, and `--resources gpu=`, where a card has room for more",
    )
    warm: bool = Field(
        True,
        description="while Snakemake runs jobs on its own machine, keep what they import for the next ones to start at "
        "once; some hundred MB of memory",
    )


class Limits(Section):
    """What is refused, lest a mistaken or hostile input fill memory or disk. What is within them stays as it is."""

    frames: PositiveInt = Field(500_000, description="of a video")
    seconds: PositiveInt = Field(14_400, description="of a video")
    pixels: PositiveInt = Field(1 << 26, description="of a frame, with square pixels; this is 8192x8192")
    disk: PositiveInt = Field(200, description="GB that the stored attention of one edit may take (`share.store`)")


class Alarm(Section):
    """What is red in the report, told by the worst frame; null for never."""

    background_psnr: float | None = Field(30.0, description="dB outside of A, if below")
    background_ssim: float | None = Field(None, description="outside of A, if below")
    exactness: float | None = Field(
        1.0, description="share of unchanged pixels outside of A, if below; only where `encode.lossless` is set"
    )
    warp_error_inside: float | None = Field(10.0, description="flicker of B, thousandths, if above")
    warp_ssim: float | None = Field(None, description="hundredths, if below")
    confidence: float | None = Field(0.1, description="how sure the motion to the keyframes is, if below")
    mask_iou: float | None = Field(0.5, description="overlap of A from frame to frame, if below")


class Report(Section):
    """What is shown and measured of the results: report/<video>/index.html, report/summary.html."""

    enabled: bool = Field(True, description="part of every run")
    strict: bool = Field(False, description="a run ends with an error where something is red")
    alarm: Alarm = Alarm()


class Preview(Section):
    """What `snakemake preview` tries: the reference alone, from one noise and another."""

    seeds: Annotated[int, Field(ge=1, le=99)] | Annotated[list[Seed], Field(min_length=1, max_length=99)] = Field(
        4, description="so many, from 0 on, or a list of them; beside what the configuration asks for itself"
    )
    steps: PositiveInt | None = Field(
        None, le=999, description="instead of `edit.steps`: sooner to be seen, but what is chosen is painted anew"
    )


class Subject(Section):
    """Pictures of what B looks like, shown beside its words."""

    images: list[Phrase] = Field(min_length=1, max_length=99, description="one or several, of one thing")
    scale: float = Field(1.0, ge=0, le=4, description="how much of what they say is added to what the words do")
    cutout: bool = Field(
        True,
        description="B is looked for in them by its words and cut out onto white; a picture with transparency is cut "
        "out by that",
    )


class Region(Section):
    """One A and its B."""

    find: Phrase = Field(description="A, in words; `background` or `*` is the whole frame behind all other regions")
    replace: Phrase | None = Field(
        None, description="B, in words; without it, the region is kept, in front of a `background` that is edited"
    )
    box: Box | dict[NonNegativeInt, Box] | None = Field(
        None, description="x0, y0, x1, y1 in pixels of the upright picture; or one for each of some frames"
    )
    subject: Subject | None = Field(None, description="pictures of B (`subject`)")


class Variant(Section):
    """Another edit of the same clip: what differs."""

    text: Phrase | None = Field(
        None, description="`find` and `replace` in one: replace the dog with a fox, 把狗换成狐狸"
    )
    find: Phrase | None = Field(None, description="A, in words; `*` is the whole frame")
    replace: Phrase | None = Field(None, description="B, in words")
    box: Box | dict[NonNegativeInt, Box] | None = Field(None, description="where A is, for `masks.method: box`")
    subject: Subject | None = Field(None, description="pictures of B (`subject`)")
    regions: list[Region] | None = Field(
        None, min_length=1, max_length=255, description="several A and B at once, instead of `find` and `replace`"
    )
    masks: Masks | None = None
    plan: Plan | None = None
    edit: Edit | None = None
    flow: Flow | None = None
    out: Out | None = None
    encode: Encode | None = None

    @model_validator(mode="before")
    @classmethod
    def _understand_text(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or not isinstance(values.get("text"), str):
            return values
        find, replace = sentence.parse(values["text"])
        return {"find": find, "replace": replace, **values}


class Video(Variant):
    """A clip and what to do with it; `find`, `replace` and `box` are short for a single region."""

    path: Phrase = Field(description="the source video")
    range: tuple[float, float] | None = Field(None, description="seconds; the rest passes through untouched")
    strict: bool = Field(False, description="stop where a file is damaged, instead of editing what decodes of it")
    keyframes: Keyframes | None = None
    edits: dict[Name, Variant] = Field({}, description="more edits of this clip: out/<video>.<edit>")

    @model_validator(mode="after")
    def _range_runs_forward(self) -> "Video":
        if self.range and not 0 <= self.range[0] < self.range[1]:
            raise ValueError(f"range {list(self.range)} must run forward from 0 or later, as [start, end] in seconds")
        return self


# In a table no YAML: `no` is a word there
_TEXTS = {"path", "text", "find", "replace", "masks.path", "edit.negative", "edit.reference"}


def _read_table(videos: Any) -> Any:
    return table.read(videos, _TEXTS) if isinstance(videos, str) else videos


class Config(Section):
    """The whole file. The sections are defaults for all videos; a video or an edit may override them."""

    videos: Annotated[dict[Name, Video], Field(min_length=1), BeforeValidator(_read_table)] = Field(
        description="by name, or the name of a table: a line per video, columns separated by tabs: `name`, and keys as "
        "`path`, `find`, `replace`, `edit.guidance`"
    )
    keyframes: Keyframes = Keyframes()
    masks: Masks = Masks()
    plan: Plan = Plan()
    edit: Edit = Edit()
    flow: Flow = Flow()
    out: Out = Out()
    encode: Encode = Encode()
    models: Models = Models()
    runtime: Runtime = Runtime()
    limits: Limits = Limits()
    report: Report = Report()
    preview: Preview = Preview()
    sweep: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        {},
        description="values of keys of an edit, as `edit.guidance: [3, 6]`: `snakemake sweep` tries all combinations",
    )
    yes: bool = Field(False, description="`snakemake prune --config yes=1` removes what it otherwise only lists")


def parse(raw: Mapping[str, Any]) -> Config:
    """The validated configuration. Raises UserError, one line per problem: key, value and what is allowed."""
    return validated(Config, raw, "config")


def validated(kind: type[Section], raw: Mapping[str, Any], where: str) -> Any:
    """A part of the configuration. Raises UserError as `parse`; where: what its lines begin with."""
    try:
        return kind.model_validate(dict(raw))
    except ValidationError as error:
        # Of the ways to write a value, a list that is wrong was not meant as a mapping, nor the other way round.
        meant = [e for e in error.errors() if e["type"] not in ("dict_type", "tuple_type")] or error.errors()
        # Nor was a number meant as a word.
        meant.sort(key=lambda e: e["type"] == "literal_error" and str(e["input"]).lstrip("-").isdigit())
        lines: dict[str, str] = {}
        for one in meant:
            lines.setdefault(_key(one), f"{where}: {_explain(one, kind)}")
        told, rest = [_cut(line) for line in list(lines.values())[:PROBLEMS]], len(lines) - PROBLEMS
        raise UserError("\n".join([*told, *([f"{where}: and {rest} more"] if rest > 0 else [])])) from None


def _cut(line: str) -> str:
    return line if len(line) <= LENGTH else f"{line[:LENGTH]}…"


def _key(error: Mapping[str, Any]) -> str:
    """Where one of pydantic's errors is, in the configuration's own words."""
    return ".".join(str(p) for p in _path(error)) or "config"


def _path(error: Mapping[str, Any]) -> list[Any]:
    """The keys and positions that lead to an error, without pydantic's own names for the ways to write a value."""
    own = ("function-", "dict[", "tuple[", "literal[")
    return [p for p in error["loc"] if not (isinstance(p, str) and p.startswith(own))]


PROBLEMS, LENGTH = 30, 600  # that are told at once, and the characters of one
_SHORT = reprlib.Repr()  # of what was given, which may be long, or refer to itself
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 100

_KINDS = {
    "model_type": "should be keys with values",
    "dict_type": "should be keys with values",
    "tuple_type": "should be a list of numbers",
    "list_type": "should be a list",
    "string_type": "should be text",
    "string_too_short": "should not be empty",
    "float_parsing": "should be a number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "bool_parsing": "should be true or false",
    "finite_number": "should be a number that is not infinite",
    "too_short": "should not be empty",
    "too_long": "has too many values",
}


def _explain(error: Mapping[str, Any], whole: type[Section]) -> str:
    """One line for one of pydantic's errors; whole: what was validated."""
    path, key, kind = _path(error), _key(error), error["type"]
    if kind == "extra_forbidden":
        known = list(getattr(_model_at(path[:-1], whole), "model_fields", {}))
        near = difflib.get_close_matches(str(path[-1]), known, 1)
        hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
        return f"{key}: unknown key; {hint}"
    if kind == "missing" and isinstance(path[-1], int):
        return f"{'.'.join(map(str, path[:-1]))}: number {path[-1] + 1} of the list is missing"
    if kind == "missing":
        return f"{key} is missing"
    if kind == "value_error":
        return f"{key}: {error['ctx']['error']}"
    if path[-1:] == ["[key]"] and kind.startswith("string"):
        return f"{key.removesuffix('.[key]')}: {NAME_RULE}"
    message = _KINDS.get(kind) or error["msg"].replace("Input should", "should")
    hint = _nearest(error)
    return f"{key.removesuffix('.[key]')}: {message}, not {_SHORT.repr(error['input'])}{hint}"


def _nearest(error: Mapping[str, Any]) -> str:
    """The value that was perhaps meant, where there are only a few."""
    known = re.findall("'([^']+)'", error["ctx"].get("expected", "")) if error["type"] == "literal_error" else []
    near = difflib.get_close_matches(str(error["input"]), known, 1)
    return f"; did you mean {near[0]}?" if near else ""


def _model_at(path: list[Any], whole: type[Section]) -> Any:
    """The model that describes the mapping at `path` of a whole, or None."""
    kind: Any = whole
    for step in path:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = kind.model_fields.get(step)
            kind = field.annotation if field else None
        else:  # dict[str, X] or list[X]
            kind = (typing.get_args(kind) or [None])[-1]
        if isinstance(kind, types.UnionType):
            kind = next((a for a in typing.get_args(kind) if a is not type(None)), None)
    return kind
