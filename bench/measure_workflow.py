"""The stages of a run in one warm process per environment: measure_workflow.py <target.json> <snakemake options>.

Snakemake plans and orders the jobs as ever; a stage's script is not started by it but handed to a process of its
environment that has run others before, and the seconds that it takes there are summed up by rule. Every script runs
once untimed before the first timed one, so that what it imports is there.
"""

import json
import pickle
import subprocess
import sys
import threading
import time
from collections import defaultdict
from functools import cache
from pathlib import Path
from types import SimpleNamespace


class Named(list):
    """Values by place and, where they have one, by name, as scripts know them."""

    @classmethod
    def of(cls, values) -> "Named":
        named = cls(str(value) if isinstance(value, str) else value for value in values)
        plain = {key: [*map(str, v)] if isinstance(v, list | tuple) else v for key, v in values.items()}
        named.__dict__.update({k: str(v) if isinstance(v, str) else v for k, v in plain.items()})
        return named

    def __getitem__(self, key):
        return getattr(self, key) if isinstance(key, str) else super().__getitem__(key)

    def get(self, name: str, otherwise=None):
        return getattr(self, name, otherwise)


def main(target: str, options: list[str]) -> int:
    import snakemake.cli
    import snakemake.workflow

    seconds, one = defaultdict(float), threading.Lock()

    def warm(path, basedir, input, output, params, wildcards, threads, resources, log, config, rule, conda, *rest):
        if rest[4]:
            rest[4].running_time = 0
        known = {"input": input, "output": output, "params": params, "resources": resources, "log": log}
        known["wildcards"] = wildcards
        job = {key: Named.of(values) for key, values in known.items()} | {"threads": threads, "rule": rule}
        script = Path(str(basedir.get_path_or_uri(secret_free=False))) / path
        with one:  # one after the other: what is summed up is not stretched by what runs beside it
            seconds[rule] += process(conda).run(script.resolve(), job)

    snakemake.workflow.script = warm
    try:
        snakemake.cli.main(options)
    except SystemExit as left:
        Path(target).write_text(json.dumps(seconds))
        return int(left.code or 0)
    return 0


@cache
def process(prefix: str) -> "Process":
    return Process(prefix)


class Process:
    """A Python of an environment that runs scripts."""

    def __init__(self, prefix: str) -> None:
        command = [f"{prefix}/bin/python", __file__]
        self.pipe = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.seen: set[Path] = set()

    def run(self, script: Path, job: dict) -> float:
        """Seconds that the script took, with what it needs imported."""
        for _ in range(1 if script in self.seen else 2):
            pickle.dump((str(script), job), self.pipe.stdin)
            self.pipe.stdin.flush()
            seconds = float(self.pipe.stdout.readline())
        self.seen.add(script)
        return seconds


def serve() -> None:
    """Run what comes on standard input; answer with seconds."""
    answers, sys.stdout = sys.stdout, sys.stderr
    sys.__stdout__ = sys.stderr  # what adapters go back to
    while True:
        try:
            script, job = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        sys.path[0] = str(Path(script).parent)
        given = {"__name__": "__main__", "__file__": script, "snakemake": SimpleNamespace(**job)}
        start = time.perf_counter()
        exec(compile(Path(script).read_text(), script, "exec"), given)
        print(time.perf_counter() - start, file=answers, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else serve())
