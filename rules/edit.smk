"""B painted into the keyframes: the reference first, then all others while looking at its cached attention.

REQUIRED INPUTS: keyframes/<video>/<idx>.png, masks/<find>/<idx>.png, plan/<find>.json, the checkpoint in
    models.diffusion
OUTPUTS:
    work/inverted/<find>/<way>/<part>      the way of keyframes to noise, for all edits that take that way: of a block's,
                                           or of the reference, which must not depend on who else is in its block
    edited/<job>/reference.png             the first edit
    edited/<job>/reference/step_<i>.pt     its attention keys and values
    edited/<job>/<idx>.png                 every keyframe, edited

A picture edited_override/<job>/<idx>.png wins over what was painted.
"""


rule invert:
    input:
        plan=lambda wildcards: ancient(f"plan/{wildcards.find}.json"),
        keyframes=part_pictures("keyframes", lambda find: FINDS[find].video),
        masks=part_pictures("masks", lambda find: find),
    output:
        directory("work/inverted/{find}/{way}/{part}"),
    log:
        "logs/invert/{find}/{way}/{part}.log",
    benchmark:
        "benchmarks/invert/{find}/{way}/{part}.tsv"
    priority: 10
    group:
        blocks_to_a_job("invert")
    conda:
        "../envs/edit.yaml"
    threads: 4
    resources:
        **on_gpu("diffusion"),
        model=lambda wildcards: model("diffusion"),
        offload=RESOLVED.runtime.offload,
        batch=RESOLVED.runtime.batch,
    params:
        settings=lambda wildcards: dict(
            invert_settings(wildcards.find, wildcards.way),
            names=keyframes_of_part(wildcards),
            crops=crops_of(wildcards.find, keyframes_of_part(wildcards)),
            code=code("invert", "edit"),
        ),
    message:
        "invert: keyframes of {wildcards.find}, {wildcards.part}"
    script:
        "../scripts/invert.py"


rule reference:
    input:
        plan=lambda wildcards: ancient(f"plan/{JOBS[wildcards.job].find}.json"),
        inverted=lambda wildcards: inverted(wildcards.job, "reference"),
        keyframe=reference_picture("keyframes", lambda job: job.video),
        mask=reference_picture("masks", lambda job: job.find),
        given=lambda wildcards: given_reference(wildcards.job),
        maps=lambda wildcards: control_maps(wildcards.job, [reference_of(wildcards.job)]),
        subjects=lambda wildcards: subjects(wildcards.job),
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
        **on_gpu("diffusion"),
        model=lambda wildcards: model("diffusion"),
        offload=RESOLVED.runtime.offload,
        controls=extra_models("controls"),
        adapters=extra_models("adapters"),
        subject=viewer,
        batch=RESOLVED.runtime.batch,
        limit_disk=RESOLVED.limits.disk,
    params:
        settings=lambda wildcards: reference_settings(wildcards.job),
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
        inverted=lambda wildcards: inverted(wildcards.job, wildcards.block),
        keyframes=block_pictures("keyframes", lambda job: job.video),
        masks=block_pictures("masks", lambda job: job.find),
        maps=lambda wildcards: control_maps(
            wildcards.job, keyframes_in(JOBS[wildcards.job].video, wildcards.block)
        ),
        subjects=lambda wildcards: subjects(wildcards.job),
        earlier=lambda wildcards: earlier(wildcards.job, wildcards.block),
    output:
        directory("work/edited/{job}/{block}"),
    log:
        "logs/edit/{job}/{block}.log",
    benchmark:
        "benchmarks/edit/{job}/{block}.tsv"
    group:
        blocks_to_a_job("edit")
    conda:
        "../envs/edit.yaml"
    threads: 4
    resources:
        **on_gpu("diffusion", runtime=120),
        model=lambda wildcards: model("diffusion"),
        offload=RESOLVED.runtime.offload,
        controls=extra_models("controls"),
        adapters=extra_models("adapters"),
        subject=viewer,
        batch=RESOLVED.runtime.batch,
    params:
        settings=lambda wildcards: dict(
            edit_settings(wildcards.job),
            names=keyframes_in(JOBS[wildcards.job].video, wildcards.block),
            crops=crops_of(
                JOBS[wildcards.job].find, keyframes_in(JOBS[wildcards.job].video, wildcards.block)
            ),
            reference=reference_of(wildcards.job),
            previous=previous_of(wildcards.job, wildcards.block),
            code=code("edit", "edit"),
        ),
    message:
        "edit: keyframes of {wildcards.job}, block {wildcards.block}"
    script:
        "../scripts/edit.py"


rule edited:
    input:
        made=lambda wildcards: handed("edited", wildcards.job, wildcards.idx),
        # Not read: what is above a checkpoint and does not ask it runs for reasons that the checkpoint has done away with.
        plan=lambda wildcards: ancient(f"plan/{JOBS[wildcards.job].find}.json"),
    output:
        "edited/{job}/{idx}.png",
    localrule: True
    params:
        settings=lambda wildcards: hand_settings("edited", wildcards.job, wildcards.idx),
    message:
        "edited: {output}"
    shell:
        HAND_OUT
