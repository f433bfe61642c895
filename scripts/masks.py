"""Rule `masks`: the label maps of a block."""

import os

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import masks
    from clevam.files import read_json

    common = {"index": read_json(snakemake.input.index), "names": settings["names"]}
    if settings["method"] == "grounded_sam":
        masks.from_words(
            list(snakemake.input.files),
            snakemake.output[0],
            **{key: settings[key] for key in ("phrases", "labels", "threshold")},
            models=snakemake.resources.models.split(os.pathsep),
            device=snakemake.resources.device,
            **common,
        )
    elif settings["method"] == "files":
        masks.from_files(list(snakemake.input.files), snakemake.output[0], regions=settings["regions"], **common)
    else:
        masks.from_boxes(snakemake.output[0], boxes=settings["boxes"], labels=settings["labels"], **common)
