"""B painted into the keyframes: the reference first, then all others while looking at its cached attention.

REQUIRED INPUTS: keyframes/<video>/<idx>.png, masks/<find>/<idx>.png, plan/<find>.json, the checkpoint in
    models.diffusion
OUTPUTS:
    edited/<job>/reference.png             the first edit
    edited/<job>/reference/step_<i>.pt     its attention keys and values
    edited/<job>/<idx>.png                 every keyframe, edited

A picture edited_override/<job>/<idx>.png wins over what was painted.
"""


rule reference:
    input:
        plan=lambda wildcards: ancient(f"plan/{JOBS[wildcards.job].find}.json"),
        keyframe=reference_picture("keyframes", lambda job: job.video),
        mask=reference_picture("masks", lambda job: job.find),
    output:
        picture="edited/{job}/reference.png",
        cache=directory("edited/{job}/reference"),
    log:
        "logs/reference/{job}.log",
    benchmark:
        "benchmarks/reference/{job}.tsv"
    priority: 10
    conda:
        "../envs/edit.yaml"
    threads: 4
    resources:
        gpu=1,
        mem_mb=12000,
        runtime=60,
        model=lambda wildcards: model("diffusion"),
        device=RESOLVED.runtime.device,
        offload=RESOLVED.runtime.offload,
        batch=RESOLVED.runtime.batch,
    params:
        settings=lambda wildcards: dict(
            edit_settings(wildcards.job),
            crop=crops_of(wildcards.job, [reference_of(wildcards.job)]),
            code=code("reference", "edit"),
        ),
    message:
        "reference: the first edit of {wildcards.job}"
    script:
        "../scripts/reference.py"


rule edit:
    input:
        plan=lambda wildcards: ancient(f"plan/{JOBS[wildcards.job].find}.json"),
        # The picture stands for the cache beside it: it can be compared by content, a folder cannot.
        picture="edited/{job}/reference.png",
        cache=ancient("edited/{job}/reference"),
        keyframes=block_pictures("keyframes", lambda job: job.video),
        masks=block_pictures("masks", lambda job: job.find),
    output:
        directory("work/edited/{job}/{block}"),
    log:
        "logs/edit/{job}/{block}.log",
    benchmark:
        "benchmarks/edit/{job}/{block}.tsv"
    conda:
        "../envs/edit.yaml"
    threads: 4
    resources:
        gpu=1,
        mem_mb=12000,
        runtime=120,
        model=lambda wildcards: model("diffusion"),
        device=RESOLVED.runtime.device,
        offload=RESOLVED.runtime.offload,
        batch=RESOLVED.runtime.batch,
    params:
        settings=lambda wildcards: dict(
            edit_settings(wildcards.job),
            names=keyframes_in(JOBS[wildcards.job].video, wildcards.block),
            crops=crops_of(wildcards.job, keyframes_in(JOBS[wildcards.job].video, wildcards.block)),
            reference=reference_of(wildcards.job),
            code=code("edit", "edit"),
        ),
    message:
        "edit: keyframes of {wildcards.job}, block {wildcards.block}"
    script:
        "../scripts/edit.py"


rule edited:
    input:
        lambda wildcards: handed("edited", wildcards.job, wildcards.idx),
    output:
        "edited/{job}/{idx}.png",
    params:
        settings=lambda wildcards: hand_settings("edited", wildcards.job, wildcards.idx),
    message:
        "edited: {output}"
    shell:
        HAND_OUT
