"""What every script under scripts/ does around its one call: log, own packages only, errors for people."""

import errno
import os
import shutil
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clevam import alone
from clevam.errors import UserError

FULL = 1 << 16  # bytes that are left of a disk at which it is taken to be full


@contextmanager
def stage(snakemake, online: bool = False) -> Iterator:
    """Yield `snakemake.params.settings` with standard error in the job's log.

    A UserError ends the job with its one line, Ctrl-C with a word, anything else with its traceback, all in the log,
    which Snakemake shows for a failed job.
    online: it may ask the network, which stages never do, and shows its progress at the terminal instead.
    """
    alone.work()
    own_packages_only()
    warnings.simplefilter("ignore", FutureWarning)  # said by packages to their own makers
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    if not online:
        os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["CLEVAM_GPU_SHARE"] = str(snakemake.resources.get("gpu_share", 1))  # device.py
    # Threads that spin while they wait starve the jobs beside them: a small network ran 70 times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with Path(snakemake.log[0]).open("w", buffering=1) as log:
        if not online:
            sys.stdout = sys.stderr = log
        try:
            yield snakemake.params.settings
        except UserError as error:
            print(f"error: {error}", file=log)
            raise SystemExit(1) from None
        except SystemExit:  # done by a process that was warm
            raise
        except BaseException as error:
            line = "interrupted" if isinstance(error, KeyboardInterrupt) else of_the_disk(error)
            text = f"error: {line}\n" if line else traceback.format_exc()
            try:
                log.write(text)
            except OSError:  # for want of room, too
                sys.__stderr__.write(text)
            raise SystemExit(1) from None
        finally:
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__


def of_the_disk(error: BaseException) -> str | None:
    """What is wrong, if it is the disk: libraries have words of their own for one that is full."""
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT) or shutil.disk_usage(".").free < FULL:
        return f"the disk of {Path.cwd()} is full; make room and run again"
    if number in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"{error.filename or Path.cwd()}: {error.strerror}; see to its permissions and run again"
    return None


def own_packages_only() -> None:
    """Forget the packages of the environment that runs Snakemake, which it appends to the path of every script.

    A package that a stage forgot to name would otherwise come from there, silently, in some other version.
    """
    sys.path[:] = [p for p in sys.path if "site-packages" not in p or Path(p).is_relative_to(sys.prefix)]
