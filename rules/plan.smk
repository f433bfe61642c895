"""What all keyframes of a clip share.

REQUIRED INPUTS: keyframes/<video>/index.json, masks/<find>/<idx>.png of every keyframe
OUTPUTS:
    plan/<find>.json    the reference keyframe, the crop of every keyframe, the box in which motion is measured

It is a checkpoint: a repainted mask re-runs this, and everything below only if the plan turns out different.
"""


checkpoint plan:
    input:
        index=lambda wildcards: ancient(f"keyframes/{FINDS[wildcards.find].video}/index.json"),
        masks=lambda wildcards: pictures("masks", wildcards.find, FINDS[wildcards.find].video),
        # Not read here: with the pictures made before this checkpoint, one that comes out the same edits nothing anew.
        keyframes=lambda wildcards: ancient(
            pictures("keyframes", FINDS[wildcards.find].video, FINDS[wildcards.find].video)
        ),
    output:
        "plan/{find}.json",
    log:
        "logs/plan/{find}.log",
    benchmark:
        "benchmarks/plan/{find}.tsv"
    priority: 10
    localrule: True
    conda:
        "../envs/plan.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=plan_settings,
    message:
        "plan: reference and scale of {wildcards.find}"
    script:
        "../scripts/plan.py"
