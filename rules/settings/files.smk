"""Which files a job has, block by block and picture by picture."""


def keyframes_in(video, block):
    return index_of(video)["blocks"][block]


def pictures(stage, name, video):
    """One picture per keyframe."""
    return [f"{stage}/{name}/{idx}.png" for idx in index_of(video)["keyframes"]]


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


def frames_of(block):
    return [int(block) * BLOCK, int(block) * BLOCK + BLOCK - 1]


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
