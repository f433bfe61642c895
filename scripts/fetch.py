"""Rule `fetch`: the models that the configuration names, downloaded."""

from pathlib import Path

from clevam.adapter import stage

with stage(snakemake, online=True) as settings:
    from clevam.fetch import fetch

    fetch(settings["models"], [Path(folder) for folder in settings["folders"]], settings["variant"])
