"""What motion and the result are given."""


def by_raft(find):
    return FINDS[find].flow["method"] == "raft"


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
