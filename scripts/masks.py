"""Rule `masks`: the label maps of a block."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import masks
    from clevam.files import read_json

    index, regions = read_json(snakemake.input.index), settings["regions"]
    common = {"index": index, "names": settings["names"]}
    if settings["method"] == "files":
        files = list(snakemake.input.files)
        masks.from_files(files, snakemake.output[0], regions=len(regions), **common)
    else:
        masks.from_boxes(snakemake.output[0], boxes=[region["box"] for region in regions], **common)
