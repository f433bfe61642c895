"""Where weights lie: on this machine, or in the download caches of the Hugging Face Hub and of torch.hub.

A model's name in the configuration is a local file or folder; or `owner/name[@revision][/file]` on the hub, the part
after `hf://` in huggingface_hub's own addresses; or torchvision's name of weights that it publishes. Nothing here ever
asks the network (scripts/clevam/fetch.py does).
"""

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from clevam.addresses import PUBLISHED, Address, parse, select
from clevam.errors import UserError


def locate(name: str, key: str, folders: Iterable[Path], variant: str | None = None) -> Path:
    """The local file or folder of a model: a path, seen from each of `folders` in turn, or its place in a cache.

    key: what the configuration calls the model, for errors; variant: config.Models. Raises UserError if it is nowhere.
    """
    if found := local(name, folders):
        return found
    found = torch_hub() / PUBLISHED[name] if name in PUBLISHED else cached(parse(name, key), key, variant)
    if found and found.exists():
        return found
    nor = f"there is no folder {name} here, and " if "/" in name and "@" not in name and "://" not in name else ""
    raise UserError(f"{key}: {nor}{name} is not downloaded; `snakemake fetch --cores 1 --configfile <yours>` gets it")


def local(name: str, folders: Iterable[Path]) -> Path | None:
    """The file or folder that a model's name is the path of, seen from each of `folders` in turn."""
    paths = () if name.startswith("hf://") else (folder / name for folder in folders)
    return next((path for path in paths if path.exists()), None)


def torch_hub() -> Path:
    """Where torch.hub keeps what it has downloaded."""
    caches = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{caches}/torch")).expanduser() / "hub" / "checkpoints"


def cached(place: Address, key: str, variant: str | None = None) -> Path | None:
    """Where a model is in the hub's download cache; None unless all the files that it is read from are there."""
    # Imported here: most configurations name local files, and every start of the workflow would wait for it.
    from huggingface_hub import get_cached_repo_tree, snapshot_download
    from huggingface_hub.errors import CachedRepoTreeNotFoundError, LocalEntryNotFoundError

    try:
        files = [file.path for file in get_cached_repo_tree(place.repo, revision=place.revision)]
        needed = [glob.escape(file) for file in select(place, files, key, variant)]
    except CachedRepoTreeNotFoundError:  # downloaded by something else: there is what there is
        needed = None
    try:
        options = {"revision": place.revision, "allow_patterns": needed, "local_files_only": True}
        folder = Path(snapshot_download(place.repo, **options))
    except LocalEntryNotFoundError:
        return None
    return folder / (place.file or "")
