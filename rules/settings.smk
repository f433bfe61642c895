"""What each stage's rules are given: lists of files, and the settings that are recorded with a result."""


def keyframes_in(video, block):
    return index_of(video)["blocks"][block]


def pictures(stage, name, video):
    """One picture per keyframe."""
    return [f"{stage}/{name}/{idx}.png" for idx in index_of(video)["keyframes"]]


def mask_files(wildcards):
    """What the masks of a block are made from: the user's files, or nothing but the index."""
    masks, video = FINDS[wildcards.find].masks, FINDS[wildcards.find].video
    if masks["method"] != "files":
        return []
    path = local(masks["path"])
    if not os.path.isdir(path):
        return [path]
    return [f"{path}/{idx}.png" for idx in keyframes_in(video, wildcards.block)]


def mask_settings(wildcards):
    """What the method uses, and no more: files and boxes do not depend on words."""
    find = FINDS[wildcards.find]
    used = {"files": dict(regions=len(find.regions)), "box": dict(boxes=[r["box"] for r in find.regions])}
    return dict(
        method=find.masks["method"],
        **used[find.masks["method"]],
        names=keyframes_in(find.video, wildcards.block),
        source=index_of(find.video)["source"]["sha256"],
        code=code("masks", "masks"),
    )


def plan_settings(wildcards):
    find = FINDS[wildcards.find]
    native, multiple = or_stop(weights.native_size, DIFFUSION)
    plan = dict(find.plan, size=find.plan["size"] or native, multiple=multiple)
    return dict(
        plan,
        flow_margin=find.flow["margin"],
        rim=find.masks["feather"],
        regions=len(find.regions),
        segments=index_of(find.video)["segments"],
        names=index_of(find.video)["keyframes"],
        code=code("plan", "plan"),
    )


@cache
def diffusion_fingerprint():
    return weights.fingerprint(DIFFUSION)


def edit_settings(job):
    """What both rules share; only the fingerprint of the weights counts, not where they lie."""
    job = JOBS[job]
    return dict(
        find=[region["find"] for region in FINDS[job.find].regions],
        replace=job.replace,
        feather=job.feather,
        edit=job.edit,
        weights=diffusion_fingerprint(),
    )


def reference_of(job):
    return plan_of(JOBS[job].find)["reference"]


def reference_picture(stage, name_of):
    return lambda wildcards: f"{stage}/{name_of(JOBS[wildcards.job])}/{reference_of(wildcards.job)}.png"


def block_pictures(stage, name_of):
    return lambda wildcards: expand(
        "{stage}/{name}/{idx}.png",
        stage=stage,
        name=name_of(JOBS[wildcards.job]),
        idx=keyframes_in(JOBS[wildcards.job].video, wildcards.block),
    )


def crops_of(job, names):
    crops = plan_of(JOBS[job].find)["crops"]
    return {name: crops[name] for name in names if name in crops}


def frames_of(block):
    return [int(block) * BLOCK, int(block) * BLOCK + BLOCK - 1]


def motion_in(wildcards):
    """The plan's motion boxes that touch a block."""
    first, last = frames_of(wildcards.block)
    return [m for m in plan_of(wildcards.find)["motion"] if m[0] <= last and m[1] >= first]


def requirements(env):
    """The packages that a stage names itself, without the closure."""
    lines = (ROOT / "envs" / "requirements" / f"{env}.in").read_text().splitlines()
    return [re.match(r"[\w-]+", line)[0] for line in lines if line and not line.startswith("#")]


def handed(stage, video_of):
    """Input of a hand-out: what the user painted, else the block's result."""

    def choose(wildcards):
        name = video_of(wildcards)
        painted = f"{stage}_override/{name}/{wildcards.idx}.png"
        return painted if os.path.exists(painted) else f"work/{stage}/{name}/{block_of(wildcards.idx)}"

    return choose


# Copies, never links: painting over a link would change the block's own picture.
HAND_OUT = (
    "if [ -d {input:q} ]; then cp {input:q}/{wildcards.idx}.png {output:q}; else cp {input:q} {output:q}; fi"
)


def everything(job):
    """Every file of every stage of a job that is already known."""
    find, video = JOBS[job].find, JOBS[job].video
    index = index_of(video)
    yield from (f"keyframes/{video}/{idx}.png" for idx in index["keyframes"])
    yield from (f"work/keyframes/{video}/{block}" for block, idxs in index["blocks"].items() if idxs)
    yield from (f"masks/{find}/{idx}.png" for idx in index["keyframes"])
    yield from (f"work/masks/{find}/{block}" for block, idxs in index["blocks"].items() if idxs)
    plan_of(find)
    yield from (f"flow/{find}/{block}" for block in index["blocks"])
    yield f"edited/{job}/reference.png"
    yield from (f"edited/{job}/{idx}.png" for idx in index["keyframes"])
    yield from (f"work/edited/{job}/{block}" for block, idxs in index["blocks"].items() if idxs)
    yield f"out/{job}.mp4"
