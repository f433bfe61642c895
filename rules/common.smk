"""What the rules share: the configuration resolved, who belongs to whom, and hand-outs.

Names in paths: {video} is a clip, {find} is what is located in it (the clip's name, or the job's where an edit looks
for something else), {job} is a result, {block} a stretch of BLOCK frames, {idx} a frame number.
"""

import os
import re
import shlex
import shutil
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "scripts"))

from clevam import closure, weights
from clevam.errors import UserError
from clevam.files import read_json, write_json
from clevam.jobs import resolve

BLOCK = 48  # frames per block: the model is loaded once for each, and a new keyframe disturbs only its own

# Tools of this environment first, so that .venv/bin/snakemake works without activation; the conda stand-in last,
# so that a real conda wins.
os.environ["PATH"] = os.pathsep.join(
    [os.path.dirname(sys.executable), os.environ["PATH"], str(ROOT / "envs" / "conda" / "bin")]
)


def or_stop(function, *args):
    """The function's result; a mistake of the user's ends the run with its own words."""
    try:
        return function(*args)
    except UserError as error:
        raise WorkflowError(str(error)) from None


RESOLVED = or_stop(resolve, config)
CLIPS, FINDS, JOBS = RESOLVED.clips, RESOLVED.finds, RESOLVED.jobs


def one_of(names):
    return "|".join(re.escape(name) for name in names)


wildcard_constraints:
    video=one_of(CLIPS),
    find=one_of(FINDS),
    job=one_of(JOBS),
    block=r"\d{4}",
    idx=r"\d{6}",


def local(path):
    """A path of the configuration: seen from the working directory, else from the workflow's own folder."""
    return path if Path(path).exists() or not (ROOT / path).exists() else str(ROOT / path)


DIFFUSION = Path(local(RESOLVED.models.diffusion))
if not DIFFUSION.is_dir():
    raise WorkflowError(f"models.diffusion: there is no folder {DIFFUSION}; name a Stable Diffusion folder")


def code(script, env):
    """The digest of a stage's script, the modules it imports and its environment."""
    return closure.digest(ROOT / "scripts" / f"{script}.py", ROOT / "envs" / f"{env}.yaml")


@cache
def read_cached(path, mtime):
    return read_json(path)


def read(checkpoint_output):
    """A checkpoint's JSON, read once per version."""
    return read_cached(str(checkpoint_output), Path(checkpoint_output).stat().st_mtime_ns)


def index_of(video):
    return read(checkpoints.keyframes.get(video=video).output[0])


def plan_of(find):
    return read(checkpoints.plan.get(find=find).output[0])


def source_of(video):
    """The clip's file, for rules that must not re-run when it is merely touched: index.json holds its digest."""
    return ancient(local(CLIPS[video].path))


def block_of(idx):
    return f"{int(idx) // BLOCK:04d}"


def keyframes_in(video, block):
    return index_of(video)["blocks"][block]


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


def pictures(stage, name, video):
    """One picture per keyframe."""
    return [f"{stage}/{name}/{idx}.png" for idx in index_of(video)["keyframes"]]
