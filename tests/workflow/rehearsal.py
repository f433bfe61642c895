"""Snakemake with stages that are only played: hundreds of jobs in seconds, for what is about which of them run.

As a program it imports Snakemake once and forks for every call. A stage's script is not started; instead it is written
at once what follows from the settings and the inputs, as in the real stage, so that what depends on it changes when and
only when it would. A mask is {"extent", "of"}, of which the plan sees the extent alone. A file fail-once/<rule> makes
the rule's next job fail, and is removed by it; one in going-on/<rule> is put into the log, and the job goes on until it
is gone; one in interrupt/<rule> is Ctrl-C. A log holds the job's resources.

A call can be killed: after so many files were written, renamed or removed, by stages and by Snakemake itself, or when
one is written whose name fits a pattern, of which .killed tells. Of the file that is written then there is half.
"""

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path

REAL = ("prune",)  # rules that are not played
UNTOLD = ("code", "names")  # of settings: what a result does not follow from
FILES = {".json", ".png", ".nut", ".mp4", ".mkv", ".html", ".tsv"}  # all else are folders: names may have dots


class Rehearsal:
    """The program at the other end of a pipe."""

    def __init__(self) -> None:
        environ = os.environ | {"TORCH_HOME": "torch"}  # in the project
        self.server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
        )

    def __call__(self, folder: Path, *args: str | Path, killed: int | list[str] = 0) -> tuple[int, str]:
        """Exit status of snakemake with `args` in a folder, and all that it said; killed: when, if at all."""
        said = folder / ".said"
        return self.saying(said, folder, *args, killed=killed), said.read_text()

    def saying(self, said: str | Path, folder: Path, *args: str | Path, killed: int | list[str] = 0) -> int:
        """Exit status, where it speaks to a file or a terminal."""
        print(json.dumps([killed, str(folder), str(said), *map(str, args)]), file=self.server.stdin, flush=True)
        return int(self.server.stdout.readline())

    def close(self) -> None:
        self.server.stdin.close()
        self.server.wait()
        self.server.stdout.close()


def serve() -> None:
    """Answer lines [when to be killed, folder, file for what is said, *arguments] with exit statuses."""
    # What a call imports late, here once for all
    import numpy  # noqa: F401
    import pydantic  # noqa: F401
    import smart_open  # noqa: F401
    import snakemake.cli
    import snakemake.report
    import snakemake.scheduling.greedy
    import snakemake.workflow

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts `... &` deaf to Ctrl-C
    snakemake.workflow.script = script
    snakemake.cli.get_argument_parser()  # imports every plugin
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os._exit(call(snakemake.cli.main, *json.loads(line)))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def call(main, killed: int | list[str], folder: str, said: str, *args: str) -> int:
    os.chdir(folder)
    os.setsid()
    out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1), os.dup2(out, 2)
    if killed:
        sys.addaudithook(killer(killed))
    try:
        main(args)
    except SystemExit as left:
        return int(left.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush(), sys.stderr.flush()
    return 0


def killer(when: int | list[str]):
    """An audit hook that kills the process group."""
    count = 0

    def hook(event: str, args: tuple) -> None:
        nonlocal count, when
        writes = event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR)
        if not writes and event not in ("os.remove", "os.rename", "os.rmdir", "os.utime", "subprocess.Popen"):
            return
        count += 1
        name = str(args[1] if event == "subprocess.Popen" else args[0])
        fitting = [each for each in when if fnmatch(name, each)] if isinstance(when, list) else [name][: count == when]
        if fitting:
            count, when = 0, -1  # what follows is seen here too
            if writes and args[2] & os.O_TRUNC:
                with suppress(OSError):
                    os.write(os.open(name, args[2], 0o666), b'{"of": "ha')
            Path(".killed").write_text(fitting[0])
            os.killpg(0, signal.SIGKILL)

    return hook


def script(*given) -> None:
    """In the place of snakemake.script.script: stages are played, the others are run."""
    from snakemake.script import script

    (script if given[10] in REAL else played)(*given)


def played(path, basedir, input, output, params, wildcards, threads, resources, log, config, rulename, *rest) -> None:
    if bench := rest[5]:
        bench.running_time = 0
    for mark in Path("fail-once").glob(rulename):
        mark.unlink()
        Path(log[0]).write_text(f"error: {rulename} fails once\n")
        raise RuntimeError
    for mark in Path("going-on").glob(rulename):
        Path(log[0]).write_text(mark.read_text())
        for _ in range(600):  # half a minute
            time.sleep(0.05 * mark.exists())
    for _ in Path("interrupt").glob(rulename):
        os.kill(os.getpid(), signal.SIGINT)
    from clevam.files import replacing  # of the workflow that is rehearsed

    for target in output:  # that Snakemake has marked them is sooner done than that a real script has started
        mark = Path(".snakemake/incomplete", base64.urlsafe_b64encode(target.encode()).decode())
        while not mark.exists():
            os.sched_yield()
    try:
        for target in map(Path, output):
            content = made(rulename.removeprefix("clevam_"), target, list(map(Path, input)), params.settings)
            with replacing(target) as part:
                write(part, content)
    except Exception:
        Path(log[0]).write_text(traceback.format_exc())
        raise
    Path(log[0]).write_text(json.dumps(dict(resources.items()), default=str))


def made(rule: str, target: Path, paths: list[Path], given: dict):
    """What a job makes: JSON of a file, or {name: JSON} of a folder."""
    settings = {key: value for key, value in given.items() if key not in UNTOLD}
    inputs = {path: read(path) for path in paths if path.exists()}
    names = given.get("names") or [name["name"] for name in given.get("pictures", [])] or ["000000"]
    if rule == "keyframes":
        return index(settings, digest(list(inputs.values())))
    if rule == "extract":
        return {name: digest(settings["source"], name) for name in names}
    if rule in ("candidates", "attributed"):
        drawn = [[inputs[path] for path in inputs if path.stem == name] for name in names]
        return {n: {"extent": digest(settings), "of": digest(n, one)} for n, one in zip(names, drawn, strict=True)}
    if rule == "choose":
        found = {name: each for folder in inputs.values() if isinstance(folder, dict) for name, each in folder.items()}
        told = digest([settings["regions"], settings["threshold"]])
        return {"regions": [], "keyframes": {name: [{"chosen": [told, found[name]]}] for name in names}}
    if rule == "masks":
        chosen, tools = settings.pop("chosen"), settings
        extents = {name: digest(tools, told, one["extent"]) for name, [[told, one]] in chosen.items()}
        return {name: {"extent": extent, "of": digest(chosen[name])} for name, extent in extents.items()}
    if rule == "plan":
        return plan(settings, names, {path.stem: mask for path, mask in inputs.items() if "masks" in path.parts})
    of = digest(rule, settings, names, list(inputs.values()))
    if target.name == "metrics.json":
        return {"edits": {}, "of": of}
    return of if target.suffix in FILES or rule == "judge" else {name: digest(of, name) for name in names}


def index(settings: dict, source: str) -> dict:
    """60 frames, 25 a second, in one shot: an index.json."""
    (kind, value), *_ = settings["method"].items()
    first, last = [round(25 * second) for second in settings["range"] or (0, 59 / 25)]
    steps = {
        "every": lambda: value,
        "seconds": lambda: round(25 * value),
        "count": lambda: (last - first) // (value - 1),
        "adaptive": lambda: int(30 * value["unreached"]),
    }
    picked = value if kind == "frames" else range(first, last, steps[kind]())
    names = [f"{i:06d}" for i in sorted({first, *picked, last})]
    numbers = range(first // settings["block"], last // settings["block"] + 1)
    return {
        "source": {"sha256": source},
        "pts": list(range(60)),
        "segments": [[first, last]],
        "keyframes": names,
        "reach": dict.fromkeys(names, digest(value)) if kind == "adaptive" else {},
        "blocks": {f"{b:04d}": [name for name in names if int(name) // settings["block"] == b] for b in numbers},
        "damage": None,
    }


def plan(settings: dict, names: list[str], masks: dict[str, dict]) -> dict:
    """One scale for all, and motion from keyframe to keyframe."""
    scale = digest(sorted({m["extent"] for m in masks.values()}), *(settings[k] for k in ("margin", "size", "rim")))
    moves = [settings["flow_margin"], settings["reach"]]
    chosen = {"first": names[0], "medoid": names[-2]}.get(settings["reference"]) or f"{settings['reference']:06d}"
    extents = [(int(name), masks[name]["extent"]) for name in names]
    motion = [[[a, b], [a + 1, b - 1], digest(moves, at_a, at_b)] for (a, at_a), (b, at_b) in pairwise(extents)]
    return {"reference": chosen, "crops": dict.fromkeys(names, scale), "motion": motion}


def digest(*parts) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def read(path: Path):
    """What was written, or any other file as text."""
    if path.is_dir():
        return {each.stem: read(each) for each in sorted(path.glob("[!.]*"))}
    text = path.read_text(errors="replace")
    try:
        return json.loads(text)
    except ValueError:
        return text


def write(path: Path, content) -> None:
    if path.suffix in FILES or isinstance(content, str):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, sort_keys=True))
    else:
        path.mkdir(parents=True, exist_ok=True)
        for name, each in content.items():
            write(path / f"{name}.png", each)


if __name__ == "__main__":
    serve()
