"""A first look before the whole is edited: `snakemake preview`.

REQUIRED INPUTS: keyframes/<video>/<idx>.png, masks/<find>, plan/<find>.json
OUTPUTS:
    work/preview/<job>             the reference as it is configured (`own`), and of each seed: <name>.png, <name>/ as
                                   edited/<job>/reference; what is chosen is taken over by rule `reference`
    report/<video>/preview.html    keyframes, masks, and the reference from several seeds, each with the line to set it
"""


rule preview:
    input:
        lambda wildcards: [
            f"report/{video}/preview.html" for video in dict.fromkeys(JOBS[job].video for job in ASKED)
        ],
    localrule: True
    message:
        "preview: {input}"


rule tried:
    input:
        plan=lambda wildcards: ancient(f"plan/{JOBS[wildcards.job].find}.json"),
        keyframe=reference_picture("keyframes", lambda job: job.video),
        mask=reference_picture("masks", lambda job: job.find),
        given=lambda wildcards: given_reference(wildcards.job),
        maps=lambda wildcards: control_maps(wildcards.job, [reference_of(wildcards.job)]),
        subjects=lambda wildcards: subjects(wildcards.job),
    output:
        directory("work/preview/{job}"),
    log:
        "logs/tried/{job}.log",
    benchmark:
        "benchmarks/tried/{job}.tsv"
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
        settings=tried_settings,
    message:
        "tried: the first edit of {wildcards.job}, from several seeds"
    script:
        "../scripts/tried.py"


rule previewed:
    input:
        plans=lambda wildcards: ancient([f"plan/{find}.json" for find in finds_of(wildcards.video)]),
        told=lambda wildcards: [f"masks/{find}/masks.json" for find in finds_of(wildcards.video)],
        keyframes=lambda wildcards: pictures("keyframes", wildcards.video, wildcards.video),
        masks=lambda wildcards: [
            mask for find in finds_of(wildcards.video) for mask in pictures("masks", find, wildcards.video)
        ],
        tried=previews,
    output:
        "report/{video}/preview.html",
    log:
        "logs/preview/{video}.log",
    localrule: True
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=preview_settings,
    message:
        "preview: {output}"
    script:
        "../scripts/preview.py"
