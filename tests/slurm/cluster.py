"""A real Slurm of one node for tests: Debian's packages in a folder of their own, never installed.

It believes to have 16 CPUs, 64 GB and two GPUs (plain files), so that jobs may ask for what they would on a cluster.
"""

import contextlib
import os
import re
import secrets
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ["slurmctld", "slurmd", "slurm-client", "slurm-wlm-basic-plugins", "munge", "libmunge2", "libhwloc15"]
COMMANDS = ["sbatch", "srun", "squeue", "scontrol", "scancel", "sinfo", "sacct", "sacctmgr", "sshare"]
PATIENCE = 60  # seconds for a daemon to answer

# What is left out: accounting (sacct cannot work; squeue remembers jobs for MinJobAge) and cgroups.
SLURM_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
PluginDir={plugins}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
MinJobAge=3600
ReturnToService=2
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=64000 Gres=gpu:2
PartitionName=cpu Nodes=ALL Default=YES
PartitionName=gpu Nodes=ALL
"""

COMMAND = """#!/bin/sh
export LD_LIBRARY_PATH={libraries} SLURM_CONF={folder}/slurm.conf
exec {program} "$@"
"""


class NoSlurm(Exception):
    """Why there can be no Slurm on this machine."""


@dataclass
class Cluster:
    """A running Slurm. bin: its commands, which know its configuration: nothing else tells the srun of a job."""

    bin: Path

    def __call__(self, command: str) -> str:
        """What a command of Slurm says."""
        program, *args = shlex.split(command)
        return subprocess.run([self.bin / program, *args], check=True, capture_output=True, text=True).stdout

    def jobs(self) -> list[dict[str, str]]:
        """All jobs so far, oldest first: what `scontrol show job` says of them, and `rule`."""
        described = []
        for line in self("scontrol --oneliner show job").splitlines():
            job = dict(re.findall(r"(\S+?)=(\S*)", line))
            if job:
                described.append(dict(job, rule=rule_of(job["Comment"])))
        return sorted(described, key=lambda job: int(job["JobId"]))


def rule_of(comment: str) -> str:
    """A job's rule, by the comment the executor gives it: rule_<group>_<rule> or rule_<rule>_wildcards_<values>."""
    return comment.partition("_wildcards_")[0].rpartition("_")[2]


def unpack(prefix: Path) -> None:
    """Download Debian's packages and unpack them into `prefix`, if they are not there yet."""
    if prefix.exists():
        return
    if not shutil.which("apt-get"):
        raise NoSlurm("no apt-get to download it with")
    if os.geteuid():
        raise NoSlurm("its daemons need root here")
    debs = prefix.with_name(f"{prefix.name}.debs")
    shutil.rmtree(debs, ignore_errors=True)
    debs.mkdir(parents=True)
    try:
        if not downloaded(debs):
            subprocess.run(["apt-get", "--quiet", "update"], capture_output=True)
            if not downloaded(debs):
                raise NoSlurm("apt-get cannot download it")
        part = prefix.with_name(f"{prefix.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        for deb in debs.glob("*.deb"):
            subprocess.run(["dpkg", "-x", deb, part], check=True)
        # Debian calls the daemons slurmd-wlm; they read their own name to know what they are.
        for program in part.glob("usr/sbin/*-wlm"):
            program.with_name(program.name.removesuffix("-wlm")).symlink_to(program.name)
        part.rename(prefix)
    finally:
        shutil.rmtree(debs)


def downloaded(folder: Path) -> bool:
    """Have the packages, and those they need that are not installed, in `folder`."""
    asked = ["apt-get", "install", "--simulate", "--no-install-recommends", *PACKAGES]
    planned = subprocess.run(asked, capture_output=True, text=True)
    needed = {*PACKAGES, *re.findall(r"^Inst (\S+)", planned.stdout, re.M)}
    got = subprocess.run(["apt-get", "--quiet", "download", *needed], cwd=folder, capture_output=True)
    return planned.returncode == got.returncode == 0


@contextlib.contextmanager
def running(prefix: Path, folder: Path) -> Iterator[Cluster]:
    """Slurm from `prefix`, with its configuration, commands and state in `folder`, until the block is left."""
    (library,) = prefix.glob("usr/lib/*/slurm-wlm")
    libraries = f"{library.parent}:{library}"
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir(parents=True)
    for name in ("gpu0", "gpu1"):
        (folder / name).touch()
    host = socket.gethostname().partition(".")[0]
    conf = SLURM_CONF.format(host=host, ports=free_ports(2), folder=folder, plugins=library)
    (folder / "slurm.conf").write_text(conf)
    (folder / "gres.conf").write_text(f"NodeName={host} Name=gpu File={folder}/gpu[0-1]\n")
    (folder / "munge.key").write_bytes(secrets.token_bytes(128))
    (folder / "munge.key").chmod(0o600)
    for name in COMMANDS:
        text = COMMAND.format(libraries=libraries, folder=folder, program=prefix / "usr/bin" / name)
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    munge = {name: folder / f"munge.{name}" for name in ("socket", "pid", "seed", "log")}
    sbin = prefix / "usr/sbin"
    daemons = [
        [
            *(sbin / "munged", "--foreground", "--force", f"--key-file={folder}/munge.key"),
            *(f"--{name}{'' if name == 'socket' else '-file'}={path}" for name, path in munge.items()),
        ],
        [sbin / "slurmctld", "-D"],
        [sbin / "slurmd", "-D", "-d", sbin / "slurmstepd"],
    ]
    environ = dict(os.environ, LD_LIBRARY_PATH=libraries, SLURM_CONF=f"{folder}/slurm.conf")
    cluster = Cluster(folder / "bin")
    with contextlib.ExitStack() as stack:
        for command in daemons:
            stack.enter_context(daemon(command, environ, folder))
            if command[0].name == "munged":
                wait_until(munge["socket"].exists, folder)
        wait_until(lambda: "idle" in answer(cluster, "sinfo --noheader --format=%T"), folder)
        stack.callback(cancel_all, cluster, folder)
        yield cluster


def cancel_all(cluster: Cluster, folder: Path) -> None:
    """Cancel all jobs, and wait until they are gone: nothing of them outlives the daemons."""
    answer(cluster, "scancel --user=root")
    wait_until(lambda: not answer(cluster, "squeue --noheader"), folder)


@contextlib.contextmanager
def daemon(command: list, environ: dict[str, str], folder: Path) -> Iterator[None]:
    """A daemon that ends with the block, or with this process if that is killed."""
    with (folder / f"{command[0].name}.out").open("w") as out:
        ends_with_us = ["setpriv", "--pdeathsig", "TERM", *command]
        # In a session of its own: who interrupts the tests leaves it to them to cancel the jobs first.
        process = subprocess.Popen(
            ends_with_us, env=environ, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def answer(cluster: Cluster, command: str) -> str:
    """What a command says, or nothing while nobody answers it."""
    try:
        return cluster(command)
    except subprocess.CalledProcessError:
        return ""


def wait_until(true, folder: Path, patience: float = PATIENCE) -> None:
    """Ask until it is true. RuntimeError, with what the daemons said, if it does not become so in time."""
    end = time.monotonic() + patience
    while not true():
        if time.monotonic() > end:
            said = "\n".join(f"{path.name}:\n{path.read_text()[-2000:]}" for path in folder.glob("*.out"))
            raise RuntimeError(f"Slurm does not answer as it should:\n{said}")
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
