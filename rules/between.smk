"""Where A is on the frames between keyframes.

REQUIRED INPUTS: keyframes/<video>/index.json, plan/<find>.json, masks/<find>/<idx>.png, flow/<find>/<block>, the source
    video; for `masks.between: segment` the checkpoint in models.segmenter
OUTPUTS:
    masks_frames/<find>/<block>/<idx>.png    label map of the upright frame; no file where A is not
    masks_video/<find>.mkv                   the masks of all frames, for `snakemake masks_video`
"""


rule carried:
    input:
        index=lambda wildcards: ancient(f"keyframes/{FINDS[wildcards.find].video}/index.json"),
        plan=planned,
        source=lambda wildcards: source_of(FINDS[wildcards.find].video),
        given=lambda wildcards: given(wildcards.find),
        # What nothing is made from must not re-run it.
        masks=lambda wildcards: [] if given(wildcards.find) else masks_between(wildcards),
        flow=lambda wildcards: [] if given(wildcards.find) else f"flow/{wildcards.find}/{wildcards.block}",
    output:
        directory("masks_frames/{find}/{block}"),
    log:
        "logs/carried/{find}/{block}.log",
    benchmark:
        "benchmarks/carried/{find}/{block}.tsv"
    wildcard_constraints:
        find=one_of([find for find in FINDS if not segmented(find)]),
    group:
        blocks_to_a_job("carried")
    conda:
        "../envs/out.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        settings=between_settings,
    message:
        "carried: A of {wildcards.find} between keyframes, block {wildcards.block}"
    script:
        "../scripts/carried.py"


rule segmented:
    input:
        index=lambda wildcards: ancient(f"keyframes/{FINDS[wildcards.find].video}/index.json"),
        plan=planned,
        source=lambda wildcards: source_of(FINDS[wildcards.find].video),
        masks=masks_between,
        flow="flow/{find}/{block}",
    output:
        directory("masks_frames/{find}/{block}"),
    log:
        "logs/segmented/{find}/{block}.log",
    benchmark:
        "benchmarks/segmented/{find}/{block}.tsv"
    wildcard_constraints:
        find=one_of([find for find in FINDS if segmented(find)]),
    group:
        blocks_to_a_job("segmented")
    conda:
        "../envs/masks.yaml"
    threads: 4
    resources:
        **on_gpu("segmenter"),
        model=lambda wildcards: model("segmenter"),
    params:
        settings=between_settings,
    message:
        "segmented: A of {wildcards.find} between keyframes, block {wildcards.block}"
    script:
        "../scripts/segmented.py"


rule film:
    input:
        index=lambda wildcards: ancient(f"keyframes/{FINDS[wildcards.find].video}/index.json"),
        # Waited for, since masks between keyframes follow from it.
        plan="plan/{find}.json",
        masks=lambda wildcards: pictures("masks", wildcards.find, FINDS[wildcards.find].video),
        between=lambda wildcards: frames_between(wildcards.find),
    output:
        "masks_video/{find}.mkv",
    log:
        "logs/masks_video/{find}.log",
    benchmark:
        "benchmarks/masks_video/{find}.tsv"
    conda:
        "../envs/out.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        settings=lambda wildcards: dict(
            regions=len(FINDS[wildcards.find].edited), code=code("masks_video", "out")
        ),
    message:
        "film: {output}"
    script:
        "../scripts/masks_video.py"


rule masks_video:
    input:
        lambda wildcards: [
            f"masks_video/{find}.mkv" for find in dict.fromkeys(JOBS[job].find for job in ASKED)
        ],
