"""Rule `keyframes`: choose the keyframes of a video."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import keyframes, warm
    from clevam.adaptive import Adaptive

    asked = settings["method"].get("adaptive")
    keyframes.index(
        snakemake.input[0],
        snakemake.output[0],
        method=settings["method"],
        cut_threshold=settings["cut_threshold"],
        span=settings["range"],
        strict=settings["strict"],
        block=settings["block"],
        limits={key: snakemake.resources[f"limit_{key}"] for key in ("frames", "pixels", "seconds")},
        adaptive=Adaptive(asked["unreached"], asked["region"]) if asked else None,
    )
    warm.ahead(snakemake.resources.upcoming)
