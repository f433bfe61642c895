"""Rule `candidates`: what may be A on the keyframes of a block."""

import os

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam.files import read_json

    index, names, target = read_json(snakemake.input.index), settings["names"], snakemake.output[0]
    files = list(snakemake.input.files)
    if settings["method"] == "grounded_sam":
        from clevam import candidates, warm

        warm.go_on("clevam.finder")
        from clevam.finder import Finder

        find = Finder(snakemake.resources.models.split(os.pathsep), snakemake.resources.device)
        found = candidates.search(dict(zip(names, files, strict=True)), settings["phrases"], find)
        candidates.write_all(target, index["stream"]["upright"], found)
    else:
        from clevam import locate

        if settings["method"] == "files":
            locate.from_files(files, target, index=index, names=names, labels=settings["labels"])
        else:
            locate.from_boxes(target, index=index, names=names, boxes=settings["boxes"])
