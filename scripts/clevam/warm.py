"""Processes that have imported what a stage's jobs need, and fork for each: PyTorch and diffusers take longer to import
than a small picture to paint.

There is one for each module that is so asked for, on the machine on which Snakemake itself runs jobs. The first job
starts it, if none has before, and it ends with Snakemake. Of clevam's own code it keeps nothing: a job runs what
stands in the files. Where none can be had, a job imports what it needs itself.
"""

import gc
import hashlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path

from clevam.alone import SOCKET, STATE

RUN = "CLEVAM_RUN"  # the process of Snakemake, if it runs jobs on this machine that may be forked
PATIENCE = 10  # seconds in which a process that was started must listen
READY, LONGEST = b"!", 1 << 20  # bytes


def begin(wanted: bool) -> None:
    """Have jobs that this process starts forked, or not."""
    os.environ.pop(RUN, None)
    if wanted and hasattr(os, "pidfd_open"):  # not so on macOS
        os.environ[RUN] = str(os.getpid())


def go_on(module: str) -> None:
    """Leave the rest of this job's script to a process that has imported this module, and end as it ends there.

    Returns in that process, or where there is none. Raises SystemExit where the job is done.
    """
    run = os.environ.pop(RUN, None)
    with suppress(OSError):  # no room for it, a file system without sockets: then here
        if run and (connection := reach(run, module)):
            sys.exit(left_to(connection))


def reach(run: str, module: str) -> socket.socket | None:
    """A connection to this environment's process with this module; None if it will take no jobs."""
    path, connection = place(run, sys.prefix, module), socket.socket(socket.AF_UNIX)
    if connection.connect_ex(path):
        server, until = start(run, sys.prefix, module), time.monotonic() + PATIENCE
        while connection.connect_ex(path):
            if server.poll() is not None or time.monotonic() > until:
                return None
            time.sleep(0.02)
    return connection if connection.recv(1) == READY else None


def ahead(upcoming: str) -> None:
    """Start processes of other environments while this job is at work; upcoming: <module>@<prefix>, like paths."""
    run = os.environ.get(RUN)
    for each in filter(None, upcoming.split(os.pathsep)) if run else []:
        module, _, prefix = each.partition("@")
        with suppress(OSError):  # that environment is not built yet
            if not Path(place(run, prefix, module)).exists():
                start(run, prefix, module)


def start(run: str, prefix: str, module: str) -> subprocess.Popen:
    """Of two that are started the second ends at once."""
    # -P: what lies in the project's folder is not to be imported.
    command = [f"{prefix}/bin/python", "-P", "-m", "clevam.warm", place(run, prefix, module), run, module]
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)}, **quiet)


def place(run: str, prefix: str, module: str) -> str:
    """Of the socket: in the project, by a path that is short enough for one."""
    what = hashlib.sha256(f"{os.path.realpath(prefix)} {module}".encode()).hexdigest()[:8]
    return str(STATE / SOCKET.format(f"{run}.{what}"))


def left_to(connection: socket.socket) -> int:
    """Have the script of this process run at the other end with all that it was given here; its exit status."""
    job = {"script": sys.argv[0], "folder": str(Path.cwd()), "environ": dict(os.environ)}
    socket.send_fds(connection, [json.dumps(job).encode() + b"\n"], [0, 1, 2])
    while True:
        try:
            status = connection.recv(16)
        except KeyboardInterrupt:  # the other end is told, too; the job's end is waited for
            continue
        except OSError:
            status = b""
        if not status:  # killed, for want of memory perhaps
            os.kill(os.getpid(), signal.SIGKILL)
        return int(status)


def serve(path: str, run: str, module: str) -> None:
    """Fork for every connection until the run's process has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the jobs
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    ended = os.pidfd_open(int(run))
    with socket.socket(socket.AF_UNIX) as listening:
        mask = os.umask(0o177)  # for nobody else
        try:
            listening.bind(path)
        except OSError:  # another job was faster
            return
        os.umask(mask)
        listening.listen()
        gather(module)
        if not can_fork():  # the socket's file stays: nobody is to wait for these imports again
            return
        while select.select([listening, ended], [], [])[0] == [listening]:
            connection, _ = listening.accept()
            if not os.fork():
                listening.close()
                work(connection)
            connection.close()
        Path(path).unlink()


def gather(module: str) -> None:
    """Import a module and all that it imports, and forget what of it is clevam's."""
    with suppress(Exception):  # the job will say it
        importlib.import_module(module)
    for name in [name for name in sys.modules if name.partition(".")[0] == "clevam"]:
        del sys.modules[name]
    gc.freeze()  # memory that is never looked through stays shared


def can_fork() -> bool:
    """Whether no import has spoken to a card: that does not survive a fork."""
    return "libcuda.so" not in Path("/proc/self/maps").read_text()


def work(connection: socket.socket) -> None:
    """Run the script that is asked for as if it had been started; ends this process."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    status = 1
    try:
        connection.sendall(READY)
        job = received(connection)
        threading.Thread(target=end_with, args=[connection], daemon=True).start()
        os.chdir(job["folder"])
        os.environ.clear()
        os.environ.update(job["environ"])
        sys.argv[:] = [job["script"]]
        sys.path.insert(0, str(Path(job["script"]).parent))
        runpy.run_path(job["script"], run_name="__main__")
        status = 0
    except SystemExit as left:
        status = int(left.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stdout.flush(), sys.stderr.flush()
            connection.sendall(str(status).encode())
        os._exit(status)


def received(connection: socket.socket) -> dict:
    """What `left_to` sends; its standard input, output and error become this process's."""
    text, files, _, _ = socket.recv_fds(connection, LONGEST, 3)
    while not text.endswith(b"\n"):
        text += connection.recv(LONGEST) or b"\n"
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    return json.loads(text)


def end_with(connection: socket.socket) -> None:
    """End this process when the other end is gone: Snakemake has ended the job."""
    if not connection.recv(1):
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    serve(*sys.argv[1:])
