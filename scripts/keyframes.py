"""Rule `keyframes`: choose the keyframes of a video."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import keyframes

    keyframes.index(
        snakemake.input[0],
        snakemake.output[0],
        method=settings["method"],
        cut_threshold=settings["cut_threshold"],
        span=settings["range"],
        strict=settings["strict"],
        block=settings["block"],
    )
