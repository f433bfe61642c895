"""Rule `masks`: the label maps of a block."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import masks
    from clevam.files import read_json

    common = {"index": read_json(snakemake.input.index), "names": settings["names"]}
    if settings["method"] == "files":
        masks.from_files(list(snakemake.input.files), snakemake.output[0], regions=settings["regions"], **common)
    else:
        masks.from_boxes(snakemake.output[0], boxes=settings["boxes"], **common)
