"""What the rules share: the configuration resolved, and who belongs to whom.

Names in paths: {video} is a clip, {find} is what is located in it (the clip's name, or the job's where an edit looks
for something else), {job} is a result, {way} how its keyframes are inverted, {block} BLOCK frames of the time line,
{part} a block's keyframes or the reference, {idx} a frame number, {stretch} STRETCH frames of the time line,
{container} the kind of file.
"""

import atexit
import gc
import hashlib
import json
import os
import re
import sys
import threading
import time
from functools import cache, partial, reduce
from pathlib import Path

ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=False)).parent
PREFIX = (
    workflow.modifier.path_modifier.prefix or ""
)  # of all results, where another workflow uses this as a module
sys.path.insert(0, str(ROOT / "scripts"))

from snakemake.deployment.conda import Env
from snakemake.io import IOFile, flag
from snakemake.logging import logger

from clevam import alone, closure, damage, doubts, hub, live, outcome, prune, tools, warm, weights
from clevam.errors import UserError
from clevam.files import read_json, write_json
from clevam.jobs import WHOLE, resolve

BLOCK = 48  # frames per block: the model is loaded once for each, and a new keyframe disturbs only its own
STRETCH = 5 * BLOCK  # frames that are encoded by one job: about as far apart as encoders put their key frames

tools.put_on_path(ROOT / "envs" / "conda" / "bin")
tools.steady_conda()


# A table of videos is planned with millions of objects that all stay: to look through them for garbage every 700, as
# Python does, took a fifth of the time.
gc.set_threshold(200_000, 20, 20)


def or_stop(function, *args):
    """The function's result; a mistake of the user's, or what the disk refuses, ends the run with its own words and
    nothing around them."""
    try:
        return function(*args)
    except (UserError, OSError) as error:
        if isinstance(error, OSError):
            error = f"{error.filename or Path.cwd()}: {error.strerror}; see to it and run again"
        # Said here: Snakemake keeps the words of an exit to itself once jobs have run.
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


RESOLVED = or_stop(resolve, config)
if workflow.is_main_process and not workflow.output_settings.dryrun:
    or_stop(alone.hold)
warm.begin(RESOLVED.runtime.warm and workflow.is_main_process)  # not on a cluster's node
CLIPS, FINDS, JOBS = RESOLVED.clips, RESOLVED.finds, RESOLVED.jobs
TRIED = {name for trials in RESOLVED.sweeps.values() for name in trials}
ASKED = [job for job in JOBS if job not in TRIED]


def way_of(job):
    """A short name of how a job's keyframes are inverted: edits of one find that invert alike share the inversion."""
    if job.inversion is None:
        return "none"
    return hashlib.sha256(json.dumps(job.inversion, sort_keys=True).encode()).hexdigest()[:8]


WAYS = {way_of(job): job.inversion for job in JOBS.values()}


def one_of(names):
    return "|".join(re.escape(name) for name in names) or "(?!)"


wildcard_constraints:
    video=one_of(CLIPS),
    find=one_of(FINDS),
    job=one_of(JOBS),
    way=one_of(WAYS),
    block=r"\d{4}",
    stretch=r"\d{4}",
    container="mp4|mov|mkv",
    part=r"\d{4}|reference",
    idx=r"\d{6}",


def local(path):
    """A path of the configuration: seen from the working directory, else from the workflow's own folder."""
    return path if os.path.exists(path) or not os.path.exists(ROOT / path) else str(ROOT / path)


def existing(path, key):
    """`local(path)`, which must be there."""
    if not os.path.exists(local(path)):  # False as well for names that cannot be
        raise UserError(f"{key}: there is no {path}, seen from {Path.cwd()}")
    if "{" in local(path):
        raise UserError(f"{key}: {path}: Snakemake takes braces in a path for a wildcard; rename it")
    return flag(local(path), "local")  # where a module has a prefix, what the user brings has none


def existing_file(path, key):
    """`existing(path, key)`, which must be no folder."""
    found = existing(path, key)
    if Path(found).is_dir():
        raise UserError(f"{key}: {path} is a folder; give the video in it")
    if not Path(found).is_file():
        raise UserError(f"{key}: {path} is a pipe or a device; give a file")
    return found


def named(key):
    """What the configuration says to a key of `models`."""
    section, _, name = key.partition(".")
    if section in ("controls", "adapters"):
        return getattr(RESOLVED.models, section)[name]
    return reduce(getattr, key.split("."), RESOLVED.models)


@cache
def model(key):
    """Where the weights of a key of `models` lie."""
    return str(or_stop(hub.locate, named(key), f"models.{key}", [Path.cwd(), ROOT], RESOLVED.models.variant))


def clip(video):
    """The file of a clip."""
    return or_stop(existing_file, CLIPS[video].path, f"videos.{video}.path")


def masks_path(find):
    """Where a find's masks lie."""
    return or_stop(existing, FINDS[find].masks["path"], f"videos.{find}.masks.path")


@cache
def code(script, env, *others):
    """The digest of a stage's script, the modules it imports, its environment and other files: once per run, not per
    job."""
    return closure.digest(ROOT / "scripts" / f"{script}.py", ROOT / "envs" / f"{env}.yaml", *others)


@cache
def read_cached(path, mtime):
    return or_stop(read_json, path)


def read(checkpoint_output):
    """A checkpoint's JSON, read once per version."""
    return read_cached(str(checkpoint_output), Path(checkpoint_output).stat().st_mtime_ns)


def index_of(video):
    return read(checkpoints.keyframes.get(video=video).output[0])


def chosen_of(find):
    return read(checkpoints.choose.get(find=find).output[0])


def plan_of(find):
    return read(checkpoints.plan.get(find=find).output[0])


@cache
def fingerprint(path):
    """What the user brought, by content: a file put in place of another may well be older."""
    return weights.fingerprint(Path(path))


def source_of(video):
    """The clip's file, for rules that must not re-run when it is merely touched: index.json holds its digest."""
    return ancient(clip(video))


def block_of(idx):
    return f"{int(idx) // BLOCK:04d}"


def blocks_to_a_job(name):
    """The group of a rule's jobs that a cluster is handed as one: as many blocks in a row as `group-components` of the
    profile says to this name; none if it says nothing.

    Snakemake's own way to join jobs, a group's name and a number, joins more and more as checkpoints are passed. So each
    group has the stretch of the time line in its name, and holds no jobs that could be joined further.
    """

    def group(wildcards):
        size = workflow.group_settings.group_components.get(name)
        *others, block = wildcards
        if size is None or not block.isdigit():
            return None
        joined = "_".join([name, *others, str(int(block) // size)])
        workflow.parent_groupids[joined] = name
        return joined

    return group
