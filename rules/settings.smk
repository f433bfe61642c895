"""What each stage's rules are given: lists of files, and the settings that are recorded with a result."""


def keyframes_in(video, block):
    return index_of(video)["blocks"][block]


def pictures(stage, name, video):
    """One picture per keyframe."""
    return [f"{stage}/{name}/{idx}.png" for idx in index_of(video)["keyframes"]]


# What jobs with a network need, in MB: main memory, and that of a card, an estimate for the largest models that
# config/examples name, in half precision (docs/models.md).
NEEDS = {
    "diffusion": (12000, 12000),
    "finder": (12000, 6000),
    "segmenter": (12000, 6000),
    "raft": (12000, 4000),
    "eyes": (6000, 3000),
}


def on_gpu(network, runtime=60, where=None, without=4000):
    """The resources of jobs with a network. where: of wildcards, whether their job uses it (all do); without: main memory
    of those that do not.

    The card counts only where one may be used.
    """
    memory, vram = NEEDS[network]

    def only(value, otherwise):
        return value if where is None else lambda wildcards: value if where(wildcards) else otherwise

    wanted = RESOLVED.runtime.device != "cpu"
    return dict(
        gpu=only(int(wanted), 0),
        vram_mb=only(vram * wanted, 0),
        mem_mb=only(memory, without),
        runtime=runtime,
        device=RESOLVED.runtime.device,
        gpu_share=RESOLVED.runtime.gpu_share,
    )


# The models that find A by words
WORDS = ("detector.weights", "detector.config", "detector.text", "segmenter")
VIEWER = ("subject.weights", "subject.encoder")
# Those that a report has results looked at by
EYES = [key for key in ("lpips", "clip") if RESOLVED.report.enabled and named(key)]


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
        *EYES,
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
        painted=words and any(Path(f"{PREFIX}masks_override/{wildcards.find}").glob("*.png")),
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


def given_reference(job):
    """The picture that the user brings as the reference, if there is one."""
    path = JOBS[job].edit["reference"]
    return [or_stop(existing, path, f"videos.{job}.edit.reference")] if path else []


def edit_settings(name, edit=None):
    """edit: instead of the job's own section."""
    job = JOBS[name]
    return dict(
        model_settings(),
        find=words_of(job.find),
        replace=job.replace,
        feather=job.feather,
        edit={key: value for key, value in (edit or job.edit).items() if key != "reference"},
        given=[fingerprint(path) for path in given_reference(name)],
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
    given = part == "reference" and JOBS[job].edit["reference"]
    return [] if way == "none" or given else [f"work/inverted/{JOBS[job].find}/{way}/{part}"]


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


def stretches(job, kind="nut"):
    """The encoded picture of a job, piece by piece."""
    count = -(-len(index_of(JOBS[job].video)["pts"]) // STRETCH)
    return [f"work/out/{job}/{stretch:04d}.{kind}" for stretch in range(count)]


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
    return path if os.path.exists(f"{PREFIX}{path}") else None


def handed(stage, name, idx):
    """Input of a hand-out: what the user painted, else the block's result."""
    return painted(stage, name, idx) or f"work/{stage}/{name}/{block_of(idx)}"


def hand_settings(stage, name, idx):
    path = painted(stage, name, idx)
    return dict(painted=path and fingerprint(f"{PREFIX}{path}"))


# Copies, never links: painting over a link would change the block's own picture.
HAND_OUT = """
if [ ! -d {input.made:q} ]; then cp {input.made:q} {output:q}.part
elif [ -f {input.made:q}/{wildcards.idx:q}.png ]; then cp {input.made:q}/{wildcards.idx:q}.png {output:q}.part
else echo error: {input.made:q} is damaged, delete that folder and run again >&2; exit 1
fi
mv {output:q}.part {output:q}
"""


@cache
def warn_of_strays(stage, name, keyframes):
    """Say which painted pictures stand for no keyframe; they change nothing."""
    strays = {path.stem for path in Path(f"{PREFIX}{stage}_override/{name}").glob("*")} - set(keyframes)
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
    return all_blocks("masks_frames", find)


def blocks(stage, name, video):
    """The block folders of a stage that is about keyframes."""
    return [f"work/{stage}/{name}/{block}" for block, idxs in index_of(video)["blocks"].items() if idxs]


def result_of(job):
    return f"out/{job}.{JOBS[job].encode['container']}"


def all_blocks(stage, find):
    """The folders of a stage that is about all frames."""
    return [f"{stage}/{find}/{block}" for block in index_of(FINDS[find].video)["blocks"]]


def made_of(job):
    """What lies between a job's result and what it was made from."""
    find, video = JOBS[job].find, JOBS[job].video
    folders = blocks("keyframes", video, video) + blocks("masks", find, video) + blocks("edited", job, video)
    if way_of(JOBS[job]) != "none":
        folders += blocks("inverted", f"{find}/{way_of(JOBS[job])}", video) + inverted(job, "reference")
    folders += blocks("candidates", find, video) + all_blocks("flow", find)
    return [*folders, *frames_between(find), *subjects(job), f"edited/{job}/reference.png"]


def look_for(job):
    """What a job needs of the user's: that something is missing is said at once, not when the first job needs it."""
    find = JOBS[job].find
    path = clip(JOBS[job].video)
    if FINDS[find].masks["method"] == "files":
        masks_path(find)
    subject_pictures(job)
    given_reference(job)
    warn_of_toys(path, tuple((key, model(key)) for key in model_keys(job)))


def keyframes_of(job, wildcards):
    """What of a job is known with its keyframes."""
    find, video = JOBS[job].find, JOBS[job].video
    look_for(job)
    keyframes = tuple(index_of(video)["keyframes"])
    warn_of_strays("masks", find, keyframes)
    warn_of_strays("edited", job, keyframes)
    return [
        *pictures("keyframes", video, video),
        *blocks("keyframes", video, video),
        *blocks("candidates", find, video),
    ]


def know(job):
    """Ask for all that decides which files a job has, one after the other as each follows from the one before."""
    index_of(JOBS[job].video)
    chosen_of(JOBS[job].find)
    plan_of(JOBS[job].find)


def edited_of(job, wildcards):
    """The rest, which is known with its plan."""
    find, video = JOBS[job].find, JOBS[job].video
    know(job)
    files = [*pictures("masks", find, video), *blocks("masks", find, video), *pictures("edited", job, video)]
    files += [*made_of(job), *stretches(job), result_of(job)]
    if RESOLVED.report.enabled:
        files += [f"work/report/{job}", *perceived(job)]
        files += [f"report/{video}/{name}" for name in ("index.html", "metrics.json")]
    return files


# Every file of every stage of a job. The first as soon as they are known: a picture whose job failed would otherwise be
# taken as it was by what runs before the last checkpoint. (Asked on its own, `choose` would hand out its old choice.)
STAGES = (keyframes_of, edited_of)


def perceived(job):
    """What networks see of a result, if the configuration names any."""
    return [f"work/perceived/{job}.json"] if EYES else []


def perceive_settings(wildcards):
    job = JOBS[wildcards.job]
    return dict(
        names=index_of(job.video)["keyframes"],
        regions=len(FINDS[job.find].edited),
        words=job.replace,
        block=BLOCK,
        lpips=RESOLVED.models.lpips,
        clip="clip" in EYES,
        weights=[fingerprint(model(key)) for key in EYES],
        source=index_of(job.video)["source"]["sha256"],
        code=code("perceive", "perceive"),
    )


def reported(video):
    """The results that a clip's report shows."""
    return [job for job in ASKED if JOBS[job].video == video]


def numbers():
    """What is measured of every clip.

    Asked for before the plans are known, all that they decide would be made again though they came out the same.
    """
    for job in ASKED:
        know(job)
    return [f"report/{video}/metrics.json" for video in dict.fromkeys(JOBS[job].video for job in ASKED)]


def summaries():
    """What is written over all clips."""
    if not RESOLVED.report.enabled:
        return []
    pages = ["report/summary.html", "report/summary.tsv"]
    return pages + ["work/report/passed"] * RESOLVED.report.strict


def page_code(script):
    return code(script, "report", *sorted((ROOT / "scripts" / "clevam" / "templates").iterdir()))


def report_settings(wildcards):
    jobs = reported(wildcards.video)
    keys = {key for job in jobs for key in model_keys(job)}
    return dict(
        edits={
            job: dict(
                words=spoken(job),
                find=JOBS[job].find,
                file=result_of(job),
                lossless=JOBS[job].encode["lossless"],
            )
            for job in jobs
        },
        alarm=RESOLVED.report.alarm.model_dump(),
        models={key: fingerprint(model(key)) for key in sorted(keys)},
        versions={env: pins(env) for env in ENVIRONMENTS if env != "fetch"},
        code=page_code("report"),
    )


def spoken(job):
    """A job in words."""
    pairs = zip(FINDS[JOBS[job].find].edited, JOBS[job].replace, strict=True)
    return ", ".join(f"{a} → {b}" for a, b in pairs)


@cache
def pins(env):
    """The versions of the packages that a stage names itself."""
    lines = (ROOT / "envs" / f"{env}.yaml").read_text().splitlines()
    known = dict(line.strip(" -").split("==") for line in lines if "==" in line)
    return {name: known[name] for name in map(str.lower, requirements(env)) if name in known}


def warn_of_alarms():
    """Say where the reports of this run are, and what is red in them."""
    for video in sorted({job.wildcards.video for job in workflow.dag.jobs if job.rule.name == "report"}):
        if Path(f"report/{video}/metrics.json").exists():
            for name, edit in read_json(f"report/{video}/metrics.json")["edits"].items():
                for alarm in edit["alarms"]:
                    logger.warning(f"warning: {name}: {alarm['text']}")
            logger.info(f"report: report/{video}/index.html")


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


def previews(wildcards):
    """What is tried of a clip's edits."""
    for job in reported(wildcards.video):
        look_for(job)
        yield f"work/preview/{job}"


def reference_settings(job, edit=None):
    """What a reference follows from, wherever it is painted."""
    return dict(
        edit_settings(job, edit),
        crop=crops_of(JOBS[job].find, [reference_of(job)]),
        code=code("reference", "edit"),
    )


def tried_settings(wildcards):
    tried = JOBS[wildcards.job].tried(RESOLVED.preview)
    return dict(
        tried={name: reference_settings(wildcards.job, job.edit) for name, (job, _) in tried.items()},
        code=code("tried", "edit"),
    )


def preview_settings(wildcards):
    """Of each edit how it is said, what its find has to tell, and what to set for each of its pictures."""
    edits = {}
    for job in reported(wildcards.video):
        find, plan = JOBS[job].find, plan_of(JOBS[job].find)
        edits[job] = dict(
            words=spoken(job),
            find=find,
            regions=len(FINDS[find].edited),
            reference=plan["reference"],
            crop=plan["crops"][plan["reference"]],
            given=JOBS[job].edit["reference"],
            tried={name: keys for name, (_, keys) in JOBS[job].tried(RESOLVED.preview).items()},
        )
    return dict(
        edits=edits,
        steps=RESOLVED.preview.steps,
        names=index_of(wildcards.video)["keyframes"],
        code=page_code("preview"),
    )


def finds_of(video):
    """What is looked for in a clip, each once."""
    return list(dict.fromkeys(JOBS[job].find for job in reported(video)))


def tell_of_previews():
    """Say where the previews of this run are."""
    for video in sorted({job.wildcards.video for job in workflow.dag.jobs if job.rule.name == "previewed"}):
        if Path(f"report/{video}/preview.html").exists():
            logger.info(f"preview: report/{video}/preview.html")


def surplus():
    """Results that jobs made and that the present configuration would not make."""

    def recorded(path):
        return workflow.persistence.metadata(IOFile(path, rule=None)) is not None

    mine = [path.resolve() for path in brought()]
    return [
        path
        for path in prune.results(Path.cwd(), recorded)
        if not asked_for(path) and not any(file.is_relative_to(Path(path).resolve()) for file in mine)
    ]


def asked_for(path):
    """Whether a result is made, of what there is to be made."""
    outputs = ((each.name, output) for each in workflow.rules for output in each.output)
    return any(
        found and exists(name, found.groupdict()) for name, output in outputs if (found := output.match(path))
    )


def exists(made_by, wildcards):
    """Whether there is what wildcards name: such a keyframe, such a block."""
    job = JOBS.get(wildcards.get("job"))
    find = wildcards.get("find") or (job and job.find)
    video = wildcards.get("video") or (find and FINDS[find].video)
    if made_by == "subjects":
        return bool(job.shown)
    if made_by == "perceive":
        return bool(EYES)
    if (way := wildcards.get("way")) and not any(j.find == find and way_of(j) == way for j in JOBS.values()):
        return False
    if wildcards.get("container") not in (None, job and job.encode["container"]):
        return False
    if not video or not Path(f"keyframes/{video}/index.json").exists():
        return True  # not known yet
    index = or_stop(read_json, f"keyframes/{video}/index.json")
    return (
        wildcards.get("idx") in (None, *index["keyframes"])
        and wildcards.get("block") in (None, *index["blocks"])
        and wildcards.get("part") in (None, "reference", *index["blocks"])
        and int(wildcards.get("stretch") or 0) * STRETCH < len(index["pts"])
    )


def brought():
    """The files and folders that the configuration names."""
    yield from (Path(clip.path) for clip in CLIPS.values())
    yield from (Path(path) for find in FINDS.values() if (path := find.masks["path"]))
    for job in JOBS.values():
        yield from [Path(job.edit["reference"])] if job.edit["reference"] else []
        yield from (Path(path) for subject in job.shown.values() for path in subject["images"])
        yield from (Path(each["maps"]) for each in job.edit["control"])


def conclude():
    """Say what came of the run."""
    for region in SHOWN:
        region.stop()
    warn_of_damage()
    warn_of_masks()
    warn_of_alarms()
    tell_of_previews()
    summarize()


def summarize():
    """Say what the run made and what failed."""
    made = [job.output[0] for job in workflow.dag.finished_jobs if job.rule.name == "out"]
    for line in outcome.lines(
        map(failure, sorted(one_by_one(workflow.scheduler.failed), key=str)), sorted(made)
    ):
        logger.error(line) if line.startswith("failed") else logger.warning(line)


def one_by_one(jobs):
    """Jobs, where some are groups of them."""
    for job in list(jobs):
        yield from job if job.is_group() else [job]


SHOWN = []  # in the terminal: what runs


def show_progress():
    """Show what runs in the last lines of the terminal; not where the log goes elsewhere, or nobody wants to see it."""
    quiet = {each.name for each in workflow.output_settings.quiet or ()}
    handlers = [each for each in logger.handlers if getattr(each, "can_color_tty", bool)()]
    # `fetch` has a progress of its own there.
    if (
        not handlers
        or quiet & {"ALL", "PROGRESS"}
        or any(job.rule.name == "fetch" for job in workflow.dag.jobs)
    ):
        return
    handler, since = handlers[0], time.time()
    region = live.Region(
        handler.stream,
        lambda width, height: live.lines(
            (workflow.scheduler.finished_jobs, len(workflow.dag)), running_jobs(), since, width, height
        ),
    )
    emit = handler.emit
    handler.emit = lambda record: region.above(lambda: emit(record))
    atexit.register(region.stop)  # of a run that breaks off
    region.start()
    SHOWN.append(region)


def running_jobs():
    """Those of the jobs at work that have something to tell."""
    for job in one_by_one(workflow.scheduler.running):
        if job.log:
            yield live.Running(job.rule.name, ", ".join(map(str, job.wildcards)), Path(job.log[0]))


def failure(job):
    names = dict(job.wildcards.items())
    waiting = [
        result_of(name)
        for name, asked in JOBS.items()
        if name in ASKED and {"video": asked.video, "find": asked.find, "job": name}.items() >= keeps(names)
    ]
    return outcome.Failure(
        job.rule.name, ", ".join(map(str, names.values())), next(iter(job.log), None), tuple(waiting)
    )


def keeps(names):
    """Of a job's wildcards those that say whose it is."""
    return {(key, name) for key, name in names.items() if key in ("video", "find", "job")}
