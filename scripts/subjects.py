"""Rule `subjects`: pictures of B."""

import os

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import warm

    warm.go_on("clevam.finder")
    from clevam.cutout import cut_out

    cut_out(
        list(snakemake.input),
        snakemake.output[0],
        names=[picture["name"] for picture in settings["pictures"]],
        phrases=[picture["phrase"] for picture in settings["pictures"]],
        threshold=settings.get("threshold"),
        models=snakemake.resources.models.split(os.pathsep),
        device=snakemake.resources.device,
    )
