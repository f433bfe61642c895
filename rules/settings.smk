"""What each stage's rules are given: lists of files, and the settings that are recorded with a result."""


def keyframes_in(video, block):
    return index_of(video)["blocks"][block]


def pictures(stage, name, video):
    """One picture per keyframe."""
    return [f"{stage}/{name}/{idx}.png" for idx in index_of(video)["keyframes"]]


# The models that find A by words
WORDS = ("detector.weights", "detector.config", "detector.text", "segmenter")
VIEWER = ("subject.weights", "subject.encoder")


def by_words(find):
    return FINDS[find].masks["method"] == "grounded_sam"


def by_attention(find):
    return FINDS[find].masks["method"] == "attention"


def looked_for(find):
    return by_words(find) or by_attention(find)


def segmented(find):
    return FINDS[find].masks["between"] == "segment"


def given(find):
    """The user's mask video, if that is where the masks of all frames are from."""
    masks = FINDS[find].masks
    if masks["method"] != "files" or masks["between"] != "auto" or os.path.isdir(masks_path(find)):
        return []
    return [masks_path(find)]


def by_raft(find):
    return FINDS[find].flow["method"] == "raft"


def model_keys(job):
    """The keys of `models` whose weights a job needs."""
    find = JOBS[job].find
    return [
        "diffusion",
        *(key for kind in EXTRAS for key in extra_keys(job, kind)),
        *(VIEWER if JOBS[job].shown else ()),
        *(WORDS if by_words(find) or cut_out(job) else ()),
        *(["flow"] if by_raft(find) else ()),
        *(["segmenter"] if segmented(find) else ()),
    ]


def planned(wildcards):
    """A find's plan, asked for by a function: were only params to ask it, they would be unknown to other targets.

    wildcards: or a job.
    """
    return ancient(checkpoints.plan.get(find=wildcards.find).output[0])


def mask_files(wildcards):
    """What the masks of a block are made from: the keyframes, the user's files, or nothing but the index."""
    masks, video = FINDS[wildcards.find].masks, FINDS[wildcards.find].video
    if masks["method"] == "box":
        return []
    names = [f"{idx}.png" for idx in keyframes_in(video, wildcards.block)]
    if looked_for(wildcards.find):
        return [f"keyframes/{video}/{name}" for name in names]
    path = masks_path(wildcards.find)
    if not os.path.isdir(path):
        return [path]
    return [or_stop(existing, f"{path}/{name}", f"videos.{wildcards.find}.masks.path") for name in names]


def finders():
    """Where the models that find things by words lie, in one text as a resource has to be."""
    return os.pathsep.join(model(key) for key in WORDS)


def finder_weights():
    """What they are told by: their files, and the sizes that may lie beside the segmenter's."""
    sizes = Path(model("segmenter")).with_suffix(".json")
    return [fingerprint(path) for path in [*map(model, WORDS), *filter(Path.exists, [sizes])]]


def candidate_settings(wildcards):
    """What the method uses, and no more: files and boxes do not depend on words."""
    find = FINDS[wildcards.find]
    method, regions = find.masks["method"], find.regions
    if by_words(wildcards.find):
        used = dict(phrases=[region["phrase"] for region in regions], weights=finder_weights())
    elif method == "files":
        labels = [region["label"] for region in regions]
        used = dict(labels=labels, files=[fingerprint(path) for path in mask_files(wildcards)])
    else:
        used = dict(boxes=[region["box"] for region in regions])
    return dict(
        used,
        method=method,
        names=keyframes_in(find.video, wildcards.block),
        source=index_of(find.video)["source"]["sha256"],
        code=code("candidates", "masks"),
    )


def attributed_settings(wildcards):
    find = FINDS[wildcards.find]
    size, multiple = or_stop(weights.native_size, Path(model("diffusion")))
    return dict(
        model_settings(),
        phrases=[region["phrase"] for region in find.regions],
        size=size,
        multiple=multiple,
        names=keyframes_in(find.video, wildcards.block),
        source=index_of(find.video)["source"]["sha256"],
        code=code("attributed", "edit"),
    )


def told_apart(wildcards):
    """The keyframes, where it is by their looks that one of several is followed."""
    find = FINDS[wildcards.find]
    return pictures("keyframes", find.video, find.video) if looked_for(wildcards.find) else []


def choose_settings(wildcards):
    find = FINDS[wildcards.find]
    index, words = index_of(find.video), looked_for(wildcards.find)
    folders = blocks("candidates", wildcards.find, find.video)
    return dict(
        # Where nothing is looked for by words, other words are no other choice.
        regions=[[r["find"] if words else "", r["phrase"], r["pick"], r["label"]] for r in find.regions],
        painted=words and any(Path(f"masks_override/{wildcards.find}").glob("*.png")),
        threshold=find.masks["threshold"] if words else 0,
        names=index["keyframes"],
        blocks=[
            folders.index(f"work/candidates/{wildcards.find}/{block_of(name)}") for name in index["keyframes"]
        ],
        segments=index["segments"],
        code=code("choose", "plan"),
    )


def draw_settings(wildcards):
    find = FINDS[wildcards.find]
    told = chosen_of(wildcards.find)["keyframes"]
    return dict(
        chosen={
            name: [region["chosen"] for region in told[name]]
            for name in keyframes_in(find.video, wildcards.block)
        },
        labels=[region["label"] for region in find.regions],
        tools=tools_of(wildcards.find),
        code=code("masks", "plan"),
    )


def tools_of(find):
    """What is done to masks that were found."""
    masks = FINDS[find].masks
    used = {key: masks[key] for key in ("least", "fill_holes", "hull", "dilate")}
    return dict(used, loose=masks["shape"] == "loose")


def keyframes_around(video, frames, more=0):
    """The keyframes among the frames [first, last], and those next to them beside which others of these lie.

    more: of the neighbours of these, in the same shot, so many on each side.
    """
    found = []
    for a, b in index_of(video)["segments"]:
        first, last = max(a, frames[0]), min(b, frames[1])
        if first <= last:
            inside = [idx for idx in index_of(video)["keyframes"] if a <= int(idx) <= b]
            near = max(n for n, idx in enumerate(inside) if int(idx) <= first)
            far = min((n for n, idx in enumerate(inside) if int(idx) >= last), default=len(inside) - 1)
            found += inside[max(0, near - more) : far + 1 + more]
    return found


def ends(wildcards):
    """The keyframes beside which frames of a block lie."""
    return keyframes_around(FINDS[wildcards.find].video, frames_of(wildcards.block))


def masks_between(wildcards):
    """Their masks."""
    return [f"masks/{wildcards.find}/{idx}.png" for idx in ends(wildcards)]


def between_settings(wildcards):
    """What the masks between keyframes come from, and no more."""
    find = FINDS[wildcards.find]
    labels = [region["label"] for region in find.regions]
    tools = tools_of(wildcards.find)
    frames = frames_of(wildcards.block)
    used = dict(frames=frames, motion=motion_in(wildcards.find, frames), regions=max(labels))
    if given(wildcards.find):
        return dict(
            used,
            given=[fingerprint(path) for path in given(wildcards.find)],
            tools=tools,
            code=code("carried", "out"),
        )
    used |= dict(names=ends(wildcards), source=index_of(find.video)["source"]["sha256"])
    if segmented(wildcards.find):
        whole = [
            region["label"] - 1 for region in find.regions if region["phrase"] is None and region["label"]
        ]
        sizes = Path(model("segmenter")).with_suffix(".json")
        weights = [fingerprint(path) for path in (model("segmenter"), sizes) if Path(path).exists()]
        return dict(used, weights=weights, whole=whole, tools=tools, code=code("segmented", "masks"))
    # A mask that was made larger than A has no edge of the picture to follow.
    snap = not (tools["dilate"] or tools["hull"] or tools["loose"])
    return dict(used, given=[], snap=snap, code=code("carried", "out"))


def plan_settings(wildcards):
    find = FINDS[wildcards.find]
    native, multiple = or_stop(weights.native_size, Path(model("diffusion")))
    plan = dict(find.plan, size=find.plan["size"] or native, multiple=multiple)
    return dict(
        plan,
        flow_margin=find.flow["margin"],
        rim=find.masks["feather"],
        regions=len(find.edited),
        segments=index_of(find.video)["segments"],
        names=index_of(find.video)["keyframes"],
        reach=index_of(find.video)["reach"],
        code=code("plan", "plan"),
    )


def model_settings():
    """What every use of the diffusion model depends on; of the weights only the fingerprint, not where they lie."""
    return dict(
        weights=fingerprint(model("diffusion")),
        variant=RESOLVED.models.variant,
        dtype=RESOLVED.runtime.dtype,
        tiling=RESOLVED.runtime.tiling,
    )


def words_of(find):
    """What is found, in words; a whole frame has none of its own."""
    return ["" if words == "*" else words for words in FINDS[find].edited]


def invert_settings(find, way):
    return dict(model_settings(), find=words_of(find), **WAYS[way])


def edit_settings(name):
    job = JOBS[name]
    return dict(
        model_settings(),
        find=words_of(job.find),
        replace=job.replace,
        feather=job.feather,
        edit=job.edit,
        extras=[fingerprint(model(key)) for kind in EXTRAS for key in extra_keys(name, kind)],
        subjects=shown(name),
        viewer=[fingerprint(model(key)) for key in VIEWER] if job.shown else [],
    )


def cut_out(job):
    """Whether a job's subjects are to be found in their pictures."""
    return any(subject["cutout"] for subject in JOBS[job].shown.values())


def subject_pictures(job):
    """The pictures that the user brings, one subject's after the other's."""
    paths = [path for subject in JOBS[job].shown.values() for path in subject["images"]]
    return [or_stop(existing, path, f"videos.{job}.subject.images") for path in paths]


def subject_settings(job):
    """Of each picture of a job what it is called, and the words to find B by if it is to be cut out."""
    pictures = [
        dict(name=name, phrase=JOBS[job].replace[label - 1] if JOBS[job].shown[label]["cutout"] else None)
        for label, _, names in shown(job)
        for name in names
    ]
    used = dict(pictures=pictures, files=[fingerprint(path) for path in subject_pictures(job)])
    if cut_out(job):
        threshold = FINDS[JOBS[job].find].masks["threshold"] if by_words(JOBS[job].find) else 0.3
        used |= dict(weights=finder_weights(), threshold=threshold)
    return dict(used, code=code("subjects", "masks"))


def shown(job):
    """What the edit is told of a job's subjects: label, scale, and the names of their pictures."""
    return [
        [label, subject["scale"], [f"{label}_{n:02d}.png" for n in range(1, len(subject["images"]) + 1)]]
        for label, subject in JOBS[job].shown.items()
    ]


def subjects(job):
    """The folder of a job's subjects, if it has any."""
    return [f"subjects/{job}"] if JOBS[job].shown else []


def viewer(wildcards):
    """Where the IP-Adapter lies that a job's subjects are shown with."""
    return os.pathsep.join(model(key) for key in VIEWER) if JOBS[wildcards.job].shown else ""


EXTRAS = {
    "controls": "control",
    "adapters": "adapters",
}  # sections of `models`: the keys of `edit` that use them


def extra_keys(job, kind):
    """What the ControlNets or the adapters of a job are called."""
    return [f"{kind}.{each['model']}" for each in JOBS[job].edit[EXTRAS[kind]]]


def extra_models(kind):
    """Where they lie, in one text as a resource has to be."""
    return lambda wildcards: os.pathsep.join(model(key) for key in extra_keys(wildcards.job, kind))


def control_maps(job, names):
    """The maps that the user brings for keyframes, one after the other for each."""
    folders = [each["maps"] for each in JOBS[job].edit["control"] if each["maps"] != "canny"]
    return [
        or_stop(existing, f"{folder}/{name}.png", "edit.control.maps") for name in names for folder in folders
    ]


def inverted(job, part):
    """The folder of a part's inversions, if the job takes any."""
    way = way_of(JOBS[job])
    return [] if way == "none" else [f"work/inverted/{JOBS[job].find}/{way}/{part}"]


def keyframes_of_part(wildcards):
    """The reference, or all others of a block."""
    reference = plan_of(wildcards.find)["reference"]
    if wildcards.part == "reference":
        return [reference]
    return [name for name in keyframes_in(FINDS[wildcards.find].video, wildcards.part) if name != reference]


def previous_of(job, block):
    """The keyframes before each of a block's that it looks at: of its shot, and none but those that are edited."""
    find, video, count = JOBS[job].find, JOBS[job].video, JOBS[job].edit["share"]["previous"]
    crops, reference = plan_of(find)["crops"], reference_of(job)
    chains = {}
    for first, last in index_of(video)["segments"] if count else []:
        chain = [name for name in sorted(crops) if first <= int(name) <= last and name != reference]
        chains |= {name: chain[max(0, n - count) : n] for n, name in enumerate(chain)}
    return {name: before for name, before in chains.items() if block_of(name) == block}


def earlier(job, block):
    """The folders of the blocks before this one in which those are."""
    names = {name for before in previous_of(job, block).values() for name in before}
    return [f"work/edited/{job}/{other}" for other in sorted(set(map(block_of, names)) - {block})]


def reference_of(job):
    return plan_of(JOBS[job].find)["reference"]


def reference_picture(stage, name_of):
    return lambda wildcards: f"{stage}/{name_of(JOBS[wildcards.job])}/{reference_of(wildcards.job)}.png"


def block_pictures(stage, name_of):
    """The pictures of a job's block."""
    return lambda wildcards: [
        f"{stage}/{name_of(JOBS[wildcards.job])}/{idx}.png"
        for idx in keyframes_in(JOBS[wildcards.job].video, wildcards.block)
    ]


def part_pictures(stage, name_of):
    """The pictures of a part of what is found."""
    return lambda wildcards: [
        f"{stage}/{name_of(wildcards.find)}/{idx}.png" for idx in keyframes_of_part(wildcards)
    ]


def crops_of(find, names):
    crops = plan_of(find)["crops"]
    return {name: crops[name] for name in names if name in crops}


def frames_of(block):
    return [int(block) * BLOCK, int(block) * BLOCK + BLOCK - 1]


def motion_in(find, frames):
    """The plan's gaps that hold some of the frames [first, last]."""
    return [gap for gap in plan_of(find)["motion"] if gap[1][0] <= frames[1] and gap[1][1] >= frames[0]]


def flow_settings(wildcards):
    """What the method uses, and no more."""
    find = FINDS[wildcards.find]
    if by_raft(wildcards.find):
        used = dict(weights=fingerprint(model("flow")))
    else:
        used = dict(preset=find.flow["preset"])
    return dict(
        used,
        method=find.flow["method"],
        frames=frames_of(wildcards.block),
        motion=motion_in(wildcards.find, frames_of(wildcards.block)),
        source=index_of(find.video)["source"]["sha256"],
        code=code("flow", "flow"),
    )


def stretches(job):
    """The encoded picture of a job, piece by piece."""
    count = -(-len(index_of(JOBS[job].video)["pts"]) // STRETCH)
    return [f"work/out/{job}/{stretch:04d}.nut" for stretch in range(count)]


def frames_in(wildcards):
    """The first and the last frame of a stretch."""
    first = int(wildcards.stretch) * STRETCH
    return [first, min(first + STRETCH, len(index_of(JOBS[wildcards.job].video)["pts"])) - 1]


def seen_in(wildcards):
    """The keyframes that are seen in a stretch."""
    job = JOBS[wildcards.job]
    return keyframes_around(job.video, frames_in(wildcards), more=int(job.out["smooth"] > 0))


def sources_in(wildcards):
    """The same of the source, where they tell its light or the motion between them."""
    job = JOBS[wildcards.job]
    needed = job.out["smooth"] or job.out["follow_light"]
    return [f"keyframes/{job.video}/{idx}.png" for idx in seen_in(wildcards)] if needed else []


def blocks_of(stage, wildcards):
    """The folders of a stage, block by block, for a stretch."""
    first, last = frames_in(wildcards)
    numbers = range(first // BLOCK, last // BLOCK + 1)
    known = index_of(JOBS[wildcards.job].video)["blocks"]
    return [f"{stage}/{JOBS[wildcards.job].find}/{n:04d}" for n in numbers if f"{n:04d}" in known]


def stretch_settings(wildcards):
    job, frames, names = JOBS[wildcards.job], frames_in(wildcards), seen_in(wildcards)
    shown = [*frames, *map(int, names)]
    return dict(
        job.out,
        frames=frames,
        names=names,
        motion=motion_in(job.find, [min(shown), max(shown)]),
        regions=len(FINDS[job.find].edited),
        feather=job.feather,
        encode={key: value for key, value in job.encode.items() if key != "container"},
        block=BLOCK,
        source=index_of(job.video)["source"]["sha256"],
        code=code("stretch", "out"),
    )


def requirements(env):
    """The packages that a stage names itself, without the closure."""
    lines = (ROOT / "envs" / "requirements" / f"{env}.in").read_text().splitlines()
    return [re.match(r"[\w-]+", line)[0] for line in lines if line and not line.startswith("#")]


def painted(stage, name, idx):
    """The picture that the user painted over a result, if there is one."""
    path = f"{stage}_override/{name}/{idx}.png"
    return path if os.path.exists(path) else None


def handed(stage, name, idx):
    """Input of a hand-out: what the user painted, else the block's result."""
    return painted(stage, name, idx) or f"work/{stage}/{name}/{block_of(idx)}"


def hand_settings(stage, name, idx):
    path = painted(stage, name, idx)
    return dict(painted=path and fingerprint(path))


# Copies, never links: painting over a link would change the block's own picture.
HAND_OUT = """
if [ ! -d {input:q} ]; then cp {input:q} {output:q}
elif [ -f {input:q}/{wildcards.idx:q}.png ]; then cp {input:q}/{wildcards.idx:q}.png {output:q}
else echo error: {input:q} is damaged, delete that folder and run again >&2; exit 1
fi
"""


@cache
def warn_of_strays(stage, name, keyframes):
    """Say which painted pictures stand for no keyframe; they change nothing."""
    strays = {path.stem for path in Path(f"{stage}_override/{name}").glob("*")} - set(keyframes)
    if strays:
        stray, known = min(strays), ", ".join(keyframes[:6])
        logger.warning(f"{stage}_override/{name}/{stray}: no keyframe of that name; there are {known}, …")


@cache
def warn_of_toys(path, models):
    """Say which models of a clip that is not the demo's are the demo's own. models: pairs of a key and its place."""
    own = ROOT / "demo"
    toys = sorted({key.partition(".")[0] for key, place in models if Path(place).is_relative_to(own)})
    if toys and not Path(path).resolve().is_relative_to(own):
        logger.warning(
            f"warning: models: the bundled {', '.join(toys)} know nothing but the demo's toy world; for {path} "
            "name real ones (config/examples)"
        )


def warn_of_damage():
    """Say which of the run's clips are damaged, and from when on."""
    for video in sorted({job.wildcards.video for job in workflow.dag.jobs if job.rule.name == "keyframes"}):
        index = Path(f"keyframes/{video}/index.json")
        if index.exists() and (found := read_json(index).get("damage")):
            logger.warning(
                f"warning: {damage.describe(CLIPS[video].path, found)}; what can be decoded is edited"
            )


def warn_of_masks():
    """Say where A was not found, or perhaps not rightly, in the masks of this run."""
    for find in sorted({job.wildcards.find for job in workflow.dag.jobs if job.rule.name == "choose"}):
        if Path(f"masks/{find}/masks.json").exists():
            for line in doubts.doubts(read_json(f"masks/{find}/masks.json"), find):
                logger.warning(f"warning: {line}")


def frames_between(find):
    """The folders of the masks between keyframes."""
    # A checkpoint that only jobs further up ask is missed. (`choose` is asked by those that draw the keyframes' masks: by
    # two at once, and one of them would be given the old choice.)
    plan_of(find)
    return [f"masks_frames/{find}/{block}" for block in index_of(FINDS[find].video)["blocks"]]


def blocks(stage, name, video):
    """The block folders of a stage that is about keyframes."""
    return [f"work/{stage}/{name}/{block}" for block, idxs in index_of(video)["blocks"].items() if idxs]


def made_of(job):
    """What lies between a job's result and what it was made from."""
    find, video = JOBS[job].find, JOBS[job].video
    folders = blocks("keyframes", video, video) + blocks("masks", find, video) + blocks("edited", job, video)
    if inverted(job, "reference"):
        folders += blocks("inverted", f"{find}/{way_of(JOBS[job])}", video) + inverted(job, "reference")
    folders += blocks("candidates", find, video)
    folders += [f"flow/{find}/{block}" for block in index_of(video)["blocks"]]
    return [*folders, *frames_between(find), *subjects(job), f"edited/{job}/reference.png"]


def look_for(job):
    """What a job needs of the user's: that something is missing is said at once, not when the first job needs it."""
    find = JOBS[job].find
    path = clip(JOBS[job].video)
    if FINDS[find].masks["method"] == "files":
        masks_path(find)
    subject_pictures(job)
    warn_of_toys(path, tuple((key, model(key)) for key in model_keys(job)))


def everything(job, wildcards):
    """Every file of every stage of a job that is already known."""
    find, video = JOBS[job].find, JOBS[job].video
    look_for(job)
    index = index_of(video)
    warn_of_strays("masks", find, tuple(index["keyframes"]))
    warn_of_strays("edited", job, tuple(index["keyframes"]))
    chosen_of(find)
    plan_of(find)
    named = [("keyframes", video), ("masks", find), ("edited", job)]
    yield from (path for stage, name in named for path in pictures(stage, name, video))
    yield from made_of(job)
    yield from stretches(job)
    yield f"out/{job}.{JOBS[job].encode['container']}"


def swept():
    """The sheets of a sweep."""
    if not RESOLVED.sweeps:
        or_stop(nothing_to_sweep)
    return [f"sweep/{job}/{name}" for job in RESOLVED.sweeps for name in ("sheet.png", "table.tsv")]


def nothing_to_sweep():
    raise UserError(
        "sweep: nothing to try; name keys and values in the configuration: sweep: {edit.guidance: [3, 6]}"
    )


def trials(wildcards):
    """The edited keyframes of all trials of a job, one trial's after the other's."""
    for name in RESOLVED.sweeps[wildcards.job]:
        look_for(name)
        yield from pictures("edited", name, JOBS[name].video)


def sweep_settings(wildcards):
    crops, names = (
        plan_of(JOBS[wildcards.job].find)["crops"],
        index_of(JOBS[wildcards.job].video)["keyframes"],
    )
    return dict(
        trials=RESOLVED.sweeps[wildcards.job],
        crops=[crops.get(name) for name in names],
        code=code("sweep", "plan"),
    )
