"""Rule `perceive`: a result beside its source, as trained networks see them."""

from pathlib import Path

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import perceive
    from clevam.device import pick_device
    from clevam.files import read_json
    from clevam.measure import Masks

    inputs, index = snakemake.input, read_json(snakemake.input.index)
    device, eyes = pick_device(snakemake.resources.device), []
    if settings["lpips"]:
        eyes.append(perceive.Lpips(settings["lpips"], device))
    if settings["clip"]:
        eyes.append(perceive.Clip(snakemake.resources.clip, settings["words"], device))
    between = {Path(folder).name: folder for folder in inputs.between}
    masks = dict(zip(settings["names"], inputs.masks, strict=True))
    perceive.perceive(
        inputs.source,
        inputs.result,
        snakemake.output[0],
        index=index,
        masks=Masks(masks, between, settings["block"], settings["regions"], tuple(index["stream"]["upright"])),
        eyes=eyes,
    )
