"""Where A is.

REQUIRED INPUTS: keyframes/<video>/index.json; what masks.path names, or, to find A by words, keyframes/<video>/<idx>.png
    and the checkpoints in models.detector and models.segmenter; the pictures in `subject.images`
OUTPUTS:
    masks/<find>/<idx>.png            label map of the upright keyframe: 0 background, 1..N regions
    subjects/<job>/<label>_<n>.png    pictures of B, cut out onto white

A picture masks_override/<find>/<idx>.png (labels, or black and white) wins over what was found.
"""


rule masks:
    input:
        index=lambda wildcards: ancient(f"keyframes/{FINDS[wildcards.find].video}/index.json"),
        files=mask_files,
    output:
        directory("work/masks/{find}/{block}"),
    log:
        "logs/masks/{find}/{block}.log",
    benchmark:
        "benchmarks/masks/{find}/{block}.tsv"
    priority: 10
    conda:
        "../envs/masks.yaml"
    resources:
        gpu=lambda wildcards: int(by_words(wildcards.find)),
        mem_mb=lambda wildcards: 12000 if by_words(wildcards.find) else 4000,
        runtime=60,
        models=lambda wildcards: finders() if by_words(wildcards.find) else "none",
        device=RESOLVED.runtime.device,
    params:
        settings=mask_settings,
    message:
        "masks: locate A of {wildcards.find}, block {wildcards.block}"
    script:
        "../scripts/masks.py"


rule mask:
    input:
        lambda wildcards: handed("masks", wildcards.find, wildcards.idx),
    output:
        "masks/{find}/{idx}.png",
    params:
        settings=lambda wildcards: hand_settings("masks", wildcards.find, wildcards.idx),
    message:
        "mask: {output}"
    shell:
        HAND_OUT


rule subjects:
    input:
        lambda wildcards: subject_pictures(wildcards.job),
    output:
        directory("subjects/{job}"),
    log:
        "logs/subjects/{job}.log",
    conda:
        "../envs/masks.yaml"
    resources:
        gpu=lambda wildcards: int(cut_out(wildcards.job)),
        mem_mb=lambda wildcards: 12000 if cut_out(wildcards.job) else 4000,
        runtime=60,
        models=lambda wildcards: finders() if cut_out(wildcards.job) else "none",
        device=RESOLVED.runtime.device,
    params:
        settings=lambda wildcards: subject_settings(wildcards.job),
    message:
        "subjects: pictures of B for {wildcards.job}"
    script:
        "../scripts/subjects.py"
