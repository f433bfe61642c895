"""Jobs that go on in a process which has imported what they need."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clevam import warm

MODULE = "import os\nIMPORTED_BY = os.getpid()\n"
SCRIPT = """
import os, sys
BEFORE = set(sys.modules)
sys.path.insert(0, {scripts!r})
from clevam import warm
warm.go_on("heavy")
import heavy
print(heavy.IMPORTED_BY != os.getpid(), os.getcwd(), os.environ["WHO"], sys.argv, flush=True)
{then}
"""


class Folder:
    """A project's folder, in which scripts are started as by Snakemake, whose process is `run`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / ".snakemake").mkdir()
        (path / "lib").mkdir()
        (path / "lib/heavy.py").write_text(MODULE)
        self.run = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

    def start(self, then: str = "", who: str = "me", script: str = SCRIPT) -> subprocess.Popen:
        path = self.path / f"{who}.py"
        path.write_text(script.format(scripts=str(Path(warm.__file__).parents[1]), then=then))
        environ = os.environ | {warm.RUN: str(self.run.pid), "WHO": who, "PYTHONPATH": str(self.path / "lib")}
        return subprocess.Popen(
            [sys.executable, path.name], cwd=self.path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    @staticmethod
    def number(job: subprocess.Popen) -> int:
        """What a job says in its second line."""
        job.stdout.readline()
        return int(job.stdout.readline())

    def said(self, *what: str, **how: str) -> tuple[int, str, str]:
        job = self.start(*what, **how)
        out, err = job.communicate(timeout=60)
        return job.returncode, out, err

    def sockets(self) -> list[Path]:
        return list((self.path / ".snakemake").glob("*.socket"))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path)
    yield folder
    folder.run.kill()
    folder.run.communicate()


def test_a_job_goes_on_where_its_packages_are_imported_as_if_it_had_been_started(folder):
    for who in ("one", "other"):
        assert folder.said(who=who) == (0, f"True {folder.path} {who} ['{who}.py']\n", "")
    assert len(folder.sockets()) == 1


def test_it_ends_as_it_ends_there(folder):
    assert folder.said("sys.exit(3)")[0] == 3
    status, _, said = folder.said("1 / 0")
    assert status == 1 and "ZeroDivisionError" in said
    assert folder.said("import signal; os.kill(os.getpid(), signal.SIGKILL)")[0] == -signal.SIGKILL


def test_of_clevam_nothing_is_kept(folder):
    (folder.path / "lib/heavy.py").write_text(MODULE + "from clevam import errors\n")
    _, said, _ = folder.said("print(sorted({'heavy', 'clevam', 'clevam.errors', 'clevam.warm'} & BEFORE))")
    assert said.splitlines()[1] == "['heavy']"


def test_who_ends_the_job_ends_what_works_for_it(folder):
    job = folder.start("print(os.getpid(), flush=True)\nimport time\ntime.sleep(60)")
    worker = os.pidfd_open(folder.number(job))
    job.kill()
    job.communicate()
    assert ends(worker)


def test_ctrl_c_reaches_the_job_and_only_it(folder):
    then = "import time\ntry: print(os.getpid(), flush=True); time.sleep(60)\nexcept KeyboardInterrupt: sys.exit(7)"
    job = folder.start(then)
    worker = folder.number(job)
    for process in (job.pid, worker):
        os.kill(process, signal.SIGINT)
    job.communicate(timeout=60)
    assert job.returncode == 7
    assert folder.said()[0] == 0


def test_it_ends_with_the_run(folder):
    _, said, _ = folder.said("print(os.getppid())")
    server = os.pidfd_open(int(said.splitlines()[1]))
    folder.run.communicate(b"\n")
    assert ends(server)
    assert not folder.sockets()


@pytest.mark.parametrize("where", ["no folder for it", "no run", "a card in use"])
def test_where_none_can_be_had_a_job_does_it_all_itself(folder, where):
    if where == "no folder for it":
        (folder.path / ".snakemake").rmdir()
    if where == "no run":
        folder.run.communicate(b"\n")
    if where == "a card in use":  # a library of its driver is in memory
        library = folder.path / "libcuda.so.1"
        library.write_bytes(bytes(4096))
        held = f"import mmap\nwith open({str(library)!r}, 'r+b') as file:\n    held = mmap.mmap(file.fileno(), 0)\n"
        (folder.path / "lib/heavy.py").write_text(MODULE + held)
    assert folder.said() == (0, f"False {folder.path} me ['me.py']\n", "")


def test_nobody_else_may_ask_for_a_job_and_nothing_in_the_folder_is_imported(folder):
    (folder.path / "heavy.py").write_text("1 / 0")
    assert folder.said()[1].startswith("True")
    (server,) = folder.sockets()
    assert server.stat().st_mode & 0o777 == 0o600


def test_what_was_started_ahead_is_there_for_the_first_job(folder):
    upcoming = os.pathsep.join([f"heavy@{sys.prefix}", f"other@{folder.path}/not-built"])
    script = f"import sys\nsys.path.insert(0, {{scripts!r}})\nfrom clevam import warm\nwarm.ahead({upcoming!r})"
    assert folder.said(who="before", script=script) == (0, "", "")
    until = time.monotonic() + 60
    while not folder.sockets() and time.monotonic() < until:
        pass
    (server,) = folder.sockets()
    began = server.stat().st_ctime_ns
    assert folder.said() == (0, f"True {folder.path} me ['me.py']\n", "")
    assert (folder.sockets(), server.stat().st_ctime_ns) == ([server], began)


def ends(process: int) -> bool:
    """Whether a process, by its descriptor, ends within a minute."""
    return bool(select.select([process], [], [], 60)[0])
