"""What the rules share: the configuration resolved, and who belongs to whom.

Names in paths: {video} is a clip, {find} is what is located in it (the clip's name, or the job's where an edit looks
for something else), {job} is a result, {block} a stretch of BLOCK frames, {idx} a frame number.
"""

import os
import re
import sys
from functools import cache, partial
from pathlib import Path

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "scripts"))

from snakemake.logging import logger

from clevam import closure, tools, weights
from clevam.errors import UserError
from clevam.files import read_json, write_json
from clevam.jobs import resolve

BLOCK = 48  # frames per block: the model is loaded once for each, and a new keyframe disturbs only its own

tools.put_on_path(ROOT / "envs" / "conda" / "bin")


def or_stop(function, *args):
    """The function's result; a mistake of the user's ends the run with its own words and nothing around them."""
    try:
        return function(*args)
    except UserError as error:
        # Said here: Snakemake keeps the words of an exit to itself once jobs have run.
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


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


def existing(path, key):
    """`local(path)`, which must be there."""
    if not Path(local(path)).exists():
        raise UserError(f"{key}: there is no {path}, seen from {Path.cwd()}")
    return local(path)


DIFFUSION = Path(or_stop(existing, RESOLVED.models.diffusion, "models.diffusion"))
for name, clip in CLIPS.items():
    or_stop(existing, clip.path, f"videos.{name}.path")
for name, find in FINDS.items():
    if find.masks["method"] == "files":
        or_stop(existing, find.masks["path"], f"videos.{name}.masks.path")


@cache
def code(script, env):
    """The digest of a stage's script, the modules it imports and its environment: once per run, not per job."""
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


@cache
def fingerprint(path):
    """What the user brought, by content: a file put in place of another may well be older."""
    return weights.fingerprint(Path(path))


def source_of(video):
    """The clip's file, for rules that must not re-run when it is merely touched: index.json holds its digest."""
    return ancient(local(CLIPS[video].path))


def block_of(idx):
    return f"{int(idx) // BLOCK:04d}"
