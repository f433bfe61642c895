"""Where A is.

REQUIRED INPUTS: keyframes/<video>/index.json; what masks.path names, or, to find A by words, keyframes/<video>/<idx>.png
    and the checkpoints in models.detector and models.segmenter, or in models.diffusion; the pictures in `subject.images`
OUTPUTS:
    work/candidates/<find>/<block>    what may be A, with scores: see scripts/clevam/candidates.py
    masks/<find>/masks.json           which of it is A, followed through the clip, and what is doubtful
    masks/<find>/<idx>.png            label map of the upright keyframe: 0 background, 1..N regions
    subjects/<job>/<label>_<n>.png    pictures of B, cut out onto white

Networks run in the first only: another threshold, pick or shape costs none. The second is a checkpoint: a block in which
something changed disturbs others only where another instance is chosen.
A picture masks_override/<find>/<idx>.png (labels, or black and white) wins over what was found.
"""


rule candidates:
    input:
        index=lambda wildcards: ancient(f"keyframes/{FINDS[wildcards.find].video}/index.json"),
        files=mask_files,
    output:
        directory("work/candidates/{find}/{block}"),
    log:
        "logs/candidates/{find}/{block}.log",
    benchmark:
        "benchmarks/candidates/{find}/{block}.tsv"
    wildcard_constraints:
        find=one_of([find for find in FINDS if not by_attention(find)]),
    priority: 10
    group:
        blocks_to_a_job("candidates")
    conda:
        "../envs/masks.yaml"
    resources:
        **on_gpu("finder", where=lambda wildcards: by_words(wildcards.find)),
        models=lambda wildcards: finders() if by_words(wildcards.find) else "none",
    params:
        settings=candidate_settings,
    message:
        "candidates: look for A of {wildcards.find}, block {wildcards.block}"
    script:
        "../scripts/candidates.py"


rule attributed:
    input:
        index=lambda wildcards: ancient(f"keyframes/{FINDS[wildcards.find].video}/index.json"),
        files=mask_files,
    output:
        directory("work/candidates/{find}/{block}"),
    log:
        "logs/attributed/{find}/{block}.log",
    benchmark:
        "benchmarks/attributed/{find}/{block}.tsv"
    wildcard_constraints:
        find=one_of([find for find in FINDS if by_attention(find)]),
    priority: 10
    group:
        blocks_to_a_job("attributed")
    conda:
        "../envs/edit.yaml"
    threads: 4
    resources:
        **on_gpu("diffusion"),
        model=lambda wildcards: model("diffusion"),
        offload=RESOLVED.runtime.offload,
        batch=RESOLVED.runtime.batch,
    params:
        settings=attributed_settings,
    message:
        "attributed: where the diffusion model sees A of {wildcards.find}, block {wildcards.block}"
    script:
        "../scripts/attributed.py"


checkpoint choose:
    input:
        index=lambda wildcards: ancient(f"keyframes/{FINDS[wildcards.find].video}/index.json"),
        candidates=lambda wildcards: blocks("candidates", wildcards.find, FINDS[wildcards.find].video),
        pictures=told_apart,
    output:
        "masks/{find}/masks.json",
    log:
        "logs/choose/{find}.log",
    benchmark:
        "benchmarks/choose/{find}.tsv"
    priority: 10
    localrule: True
    conda:
        "../envs/plan.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings=choose_settings,
    message:
        "choose: which is A of {wildcards.find}"
    script:
        "../scripts/choose.py"


rule masks:
    input:
        index=lambda wildcards: ancient(f"keyframes/{FINDS[wildcards.find].video}/index.json"),
        # Asked for by a function: were only params to ask the checkpoint, they would be unknown to other targets.
        chosen=lambda wildcards: ancient(checkpoints.choose.get(find=wildcards.find).output[0]),
        candidates="work/candidates/{find}/{block}",
    output:
        directory("work/masks/{find}/{block}"),
    log:
        "logs/masks/{find}/{block}.log",
    benchmark:
        "benchmarks/masks/{find}/{block}.tsv"
    priority: 10
    group:
        blocks_to_a_job("masks")
    conda:
        "../envs/plan.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        settings=draw_settings,
    message:
        "masks: draw A of {wildcards.find}, block {wildcards.block}"
    script:
        "../scripts/masks.py"


rule mask:
    input:
        made=lambda wildcards: handed("masks", wildcards.find, wildcards.idx),
    output:
        "masks/{find}/{idx}.png",
    localrule: True
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
        **on_gpu("finder", where=lambda wildcards: cut_out(wildcards.job)),
        models=lambda wildcards: finders() if cut_out(wildcards.job) else "none",
    params:
        settings=lambda wildcards: subject_settings(wildcards.job),
    message:
        "subjects: pictures of B for {wildcards.job}"
    script:
        "../scripts/subjects.py"
