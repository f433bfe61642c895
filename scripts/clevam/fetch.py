"""Downloads of the models that a configuration names, into the caches where other programs look for them too."""

import errno
import glob
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, constants, hf_hub_url, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    RevisionResolutionError,
)
from huggingface_hub.file_download import get_hf_file_metadata, http_get, repo_folder_name
from huggingface_hub.hf_api import ModelInfo, RepoSibling
from huggingface_hub.utils import WeakFileLock, build_hf_headers, disable_progress_bars
from tqdm import tqdm

from clevam import hub
from clevam.addresses import PUBLISHED, Address, parse, select
from clevam.errors import UserError
from clevam.files import sha256

PYTORCH = "https://download.pytorch.org/models"
COMMIT = re.compile("[0-9a-f]{40}")


def fetch(models: dict[str, str], folders: list[Path], variant: str | None = None) -> None:
    """Bring models to this machine, and say of each what it is; all are looked up before anything is downloaded.

    models: {what the configuration calls it: its name}; folders: where paths are seen from; variant: config.Models.
    Raises UserError.
    """
    weights: dict[str, str] = {}
    places: dict[tuple[str, str], dict[str, Address]] = {}
    for key, name in models.items():
        if path := hub.local(name, folders):
            say(f"{key}: {path}, on this machine")
        elif name in PUBLISHED:
            weights[key] = PUBLISHED[name]
        else:
            place = parse(name, key)
            places.setdefault((place.repo, place.revision), {})[key] = place
    repositories = [look_up(of_one, variant) for of_one in places.values()]
    check_room(sum(file.size for repository in repositories for file in repository.missing))
    for repository in repositories:
        download(repository)
    for key, file in weights.items():
        download_weights(key, file)
    say("All models are on this machine; nothing else asks the network.")


@dataclass(frozen=True)
class Repository:
    """What is needed of a repository, at the one commit that its revision stands for now."""

    places: dict[str, Address]
    commit: str
    files: list[RepoSibling]
    missing: list[RepoSibling]

    @property
    def name(self) -> str:
        return next(iter(self.places.values())).repo

    @property
    def keys(self) -> str:
        return ", ".join(self.places)


def look_up(places: dict[str, Address], variant: str | None) -> Repository:
    """Find what models need of their repository, and say what it is and how large. Raises UserError.

    places: {what the configuration calls the model: its address}, all of one repository and revision.
    """
    first, api = next(iter(places.values())), HfApi()
    with explained(", ".join(places), page(first.repo)):
        # The cache learns what the revision stands for here, so that no later commit can come in between.
        commit = api.resolve_revision(first.repo, revision=first.revision).resolved
        info = api.model_info(first.repo, revision=commit, files_metadata=True)
    listed = {file.rfilename: file for file in info.siblings}
    names = {name for key, place in places.items() for name in select(place, listed, key, variant)}
    cached = {name for name in names if isinstance(try_to_load_from_cache(first.repo, name, revision=commit), str)}
    files, missing = ([listed[name] for name in sorted(wanted)] for wanted in (names, names - cached))
    repository = Repository(places, commit, files, missing)
    describe(repository, licence(info))
    return repository


def describe(repository: Repository, terms: str) -> None:
    total, missing = (sum(file.size for file in files) for files in (repository.files, repository.missing))
    say(f"{repository.keys}: {repository.name}, commit {repository.commit}")
    say(f"    licence: {terms}, see {page(repository.name)}")
    say(f"    files: {len(repository.files)}, {size(total)}, to download: {size(missing)}")
    for key, place in repository.places.items():
        if not COMMIT.fullmatch(place.revision):
            say(f"    to stay with this commit, write {key}: {replace(place, revision=repository.commit)}")


def licence(info: ModelInfo) -> str:
    """What the model's card says of its licence."""
    card = info.card_data
    return str(card and (card.license_name or card.license) or "none given")


def download(repository: Repository) -> None:
    """Bring a repository's files into the hub's cache and compare them with the hub's digests. Raises UserError."""
    name, commit, cache = repository.name, repository.commit, Path(constants.HF_HUB_CACHE)
    folder = repo_folder_name(repo_id=name, repo_type="model")
    blobs, locks = cache / folder / "blobs", cache / ".locks" / folder
    with explained(repository.keys, page(name)):
        for file in repository.missing:
            if file.lfs:
                url = hf_hub_url(name, file.rfilename, revision=commit)
                go_on(url, blobs / file.lfs.sha256, locks, file.size, file.rfilename, build_hf_headers())
        patterns = [glob.escape(file.rfilename) for file in repository.files]
        with disable_progress_bars("huggingface_hub.snapshot_download"):  # of bytes; the one of files is shown
            # It brings the small ones, and gives all of them their names.
            snapshot_download(name, revision=commit, allow_patterns=patterns)
        check(repository)


def check(repository: Repository) -> None:
    """Compare files, whenever downloaded, with the hub's digests. Raises UserError; what differs is deleted."""
    needed = {file.rfilename for file in repository.files}
    verified = HfApi().verify_repo_checksums(repository.name, revision=repository.commit)
    damaged = [found for found in verified.mismatches if found["path"] in needed]
    for found in damaged:
        (verified.verified_path / found["path"]).resolve().unlink()
    if damaged:
        names = ", ".join(found["path"] for found in damaged)
        wrong = "{algorithm} {actual:.12}, not {expected:.12}".format(**damaged[0])
        raise UserError(f"{repository.keys}: {names} of {repository.name} damaged ({wrong}) and deleted; fetch again")


def download_weights(key: str, file: str) -> None:
    """Bring weights that torchvision publishes into torch.hub's cache. Raises UserError; what is damaged is deleted."""
    url, path = f"{PYTORCH}/{file}", hub.torch_hub() / file
    say(f"{key}: {url}\n    licence: see https://github.com/pytorch/vision#pre-trained-model-license")
    with explained(key, url):
        if not path.exists():
            go_on(url, path, path.parent / ".locks", get_hf_file_metadata(url, token=False).size, file)
    beginning, found = path.stem.rpartition("-")[2], sha256(path)
    if not found.startswith(beginning):
        path.unlink()
        raise UserError(f"{key}: {path} damaged (sha256 {found:.12}, not {beginning}…) and deleted; fetch again")


def go_on(url: str, path: Path, locks: Path, size: int, name: str, headers: dict | None = None) -> None:
    """Download a file of `size` bytes to `path`, from where an earlier run was broken off.

    Within one run huggingface_hub goes on by itself, but what that run does not finish it throws away.
    locks: a folder for the lock that other runs respect, huggingface_hub's own too.
    """
    part = path.with_name(f"{path.name}.incomplete")  # by this name its tools for the cache know leftovers
    for folder in (path.parent, locks):
        folder.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(locks / f"{path.name}.lock"):
        if path.exists():  # by now: another run had the lock
            return
        if part.exists() and part.stat().st_size > size:
            part.unlink()
        with part.open("ab") as file:
            http_get(url, file, resume_size=file.tell(), headers=headers, expected_size=size, displayed_filename=name)
        part.replace(path)


def check_room(missing: int) -> None:
    """Raise UserError if the disk of the hub's cache has no room for so many bytes."""
    cache = Path(constants.HF_HUB_CACHE)
    folder = next(path for path in (cache, *cache.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    if missing > free:
        room = f"{size(missing)} to download, but the disk of {folder} has room for {size(free)}"
        raise UserError(f"fetch: {room}; make room, or name a folder on another disk in HF_HOME")


@contextmanager
def explained(keys: str, url: str) -> Iterator[None]:
    """Turn what the hub, the network or the disk say into UserErrors about the models that the configuration calls
    `keys`, which lie at `url`."""
    try:
        yield
    except Exception as error:
        if reason := explain(error, url):
            raise UserError(f"{keys}: {reason}") from error
        raise


def explain(error: Exception, url: str) -> str | None:
    """What is wrong and how to mend it, in one line; None for a mistake that is not the user's to mend."""
    login = "log in with `hf auth login` or set HF_TOKEN"
    match error:
        case OfflineModeIsEnabled():
            return "HF_HUB_OFFLINE is set, so nothing can be downloaded; unset it and fetch again"
        case GatedRepoError():
            return f"accept its licence at {url}, {login}, and fetch again"
        case RepositoryNotFoundError():
            return f"there is no {url}, or it is not public; check the name, or {login}"
        case RevisionNotFoundError():
            return f"there is no such revision of {url}; its page lists branches, tags and commits"
        case HfHubHTTPError() if error.response.status_code in (401, 403):
            return f"{url} is not open to this login; {login}, of an account that may read it"
        case HfHubHTTPError() if error.response.status_code < 500:
            return f"{error.response.url} was answered with {error.response.status_code}; check the name"
        case httpx2.HTTPError() | LocalEntryNotFoundError() | RevisionResolutionError():
            reason = first_line(error.__cause__ or error)
            return f"{url} cannot be reached ({reason}); check the network and HF_ENDPOINT, and fetch again to go on"
        case OSError(errno=errno.ENOSPC):
            return "the disk is full; make room, or name a folder on another disk in HF_HOME, and fetch again to go on"
        case OSError() | HFValidationError():
            return first_line(error)
    return None


def first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def page(repo: str) -> str:
    return f"{constants.ENDPOINT}/{repo}"


def size(number: int) -> str:
    return f"{tqdm.format_sizeof(number)}B"


def say(text: str) -> None:
    print(text, file=sys.stderr)
