"""Rule `flow`: motion of the original video in a block."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    import cv2

    from clevam import flow
    from clevam.files import read_json

    cv2.setNumThreads(snakemake.threads)
    if settings["method"] == "raft":
        # PyTorch takes seconds to import, which dense inverse search does not need.
        from clevam.raft import Raft

        method = Raft(snakemake.resources.model, snakemake.resources.device)
    else:
        method = flow.Dis(settings["preset"])
    flow.measure(
        snakemake.input.source,
        snakemake.output[0],
        index=read_json(snakemake.input.index),
        motion=settings["motion"],
        frames=settings["frames"],
        method=method,
    )
