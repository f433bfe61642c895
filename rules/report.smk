"""What came of it, to be looked at and measured.

REQUIRED INPUTS: out/<job>.<container>, the source video, keyframes/<video>, masks/<find>, masks_frames/<find>/<block>,
    flow/<find>/<block>, edited/<job>/<idx>.png, plan/<find>.json
OUTPUTS:
    work/report/<job>              measurements, small videos and pictures: see scripts/clevam/measure.py
    work/perceived/<job>.json      what trained networks see, where `models` names any: scripts/clevam/perceive.py
    report/<video>/index.html      one page that needs no other file, for all edits of a clip
    report/<video>/metrics.json    its numbers
    report/summary.html, .tsv      all clips
    work/report/passed             with `report.strict`: nothing is red

Nothing above depends on any of it. Thresholds run the pages again, and measure nothing.
"""


rule measure:
    input:
        index=lambda wildcards: ancient(f"keyframes/{JOBS[wildcards.job].video}/index.json"),
        plan=lambda wildcards: ancient(f"plan/{JOBS[wildcards.job].find}.json"),
        source=lambda wildcards: source_of(JOBS[wildcards.job].video),
        result=lambda wildcards: result_of(wildcards.job),
        masks=lambda wildcards: pictures("masks", JOBS[wildcards.job].find, JOBS[wildcards.job].video),
        between=lambda wildcards: all_blocks("masks_frames", JOBS[wildcards.job].find),
        flow=lambda wildcards: all_blocks("flow", JOBS[wildcards.job].find),
        keyframes=lambda wildcards: pictures(
            "keyframes", JOBS[wildcards.job].video, JOBS[wildcards.job].video
        ),
        edited=lambda wildcards: pictures("edited", wildcards.job, JOBS[wildcards.job].video),
    output:
        directory("work/report/{job}"),
    log:
        "logs/measure/{job}.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        settings=lambda wildcards: dict(
            names=index_of(JOBS[wildcards.job].video)["keyframes"],
            regions=len(FINDS[JOBS[wildcards.job].find].edited),
            feather=JOBS[wildcards.job].feather,
            block=BLOCK,
            source=index_of(JOBS[wildcards.job].video)["source"]["sha256"],
            code=code("measure", "report"),
        ),
    message:
        "measure: {wildcards.job} beside its source"
    script:
        "../scripts/measure.py"


rule perceive:
    input:
        index=lambda wildcards: ancient(f"keyframes/{JOBS[wildcards.job].video}/index.json"),
        source=lambda wildcards: source_of(JOBS[wildcards.job].video),
        result=lambda wildcards: result_of(wildcards.job),
        masks=lambda wildcards: pictures("masks", JOBS[wildcards.job].find, JOBS[wildcards.job].video),
        between=lambda wildcards: all_blocks("masks_frames", JOBS[wildcards.job].find),
    output:
        "work/perceived/{job}.json",
    log:
        "logs/perceive/{job}.log",
    conda:
        "../envs/perceive.yaml"
    resources:
        **on_gpu("eyes"),
        clip=lambda wildcards: model("clip") if "clip" in EYES else "none",
    params:
        settings=perceive_settings,
    message:
        "perceive: {wildcards.job} as networks see it"
    script:
        "../scripts/perceive.py"


rule report:
    input:
        index=lambda wildcards: ancient(f"keyframes/{wildcards.video}/index.json"),
        plans=lambda wildcards: ancient([f"plan/{JOBS[job].find}.json" for job in reported(wildcards.video)]),
        masks=lambda wildcards: [f"masks/{JOBS[job].find}/masks.json" for job in reported(wildcards.video)],
        measured=lambda wildcards: [f"work/report/{job}" for job in reported(wildcards.video)],
        perceived=lambda wildcards: [file for job in reported(wildcards.video) for file in perceived(job)],
    output:
        page=report(
            "report/{video}/index.html",
            caption="captions/clip.rst",
            category="Clips",
            labels=dict(clip="{video}", shows="player, plots, contact sheet"),
        ),
        numbers="report/{video}/metrics.json",
    log:
        "logs/report/{video}.log",
    localrule: True
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
        config="out/config.json",
    params:
        settings=report_settings,
    message:
        "report: {output.page}"
    script:
        "../scripts/report.py"


rule summary:
    input:
        lambda wildcards: numbers(),
    output:
        page=report(
            "report/summary.html",
            caption="captions/summary.rst",
            category="All clips",
            labels=dict(shows="table"),
        ),
        table=report(
            "report/summary.tsv",
            caption="captions/summary.rst",
            category="All clips",
            labels=dict(shows="numbers"),
        ),
    log:
        "logs/summary.log",
    localrule: True
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=500,
        runtime=10,
    params:
        settings=dict(code=page_code("summary")),
    message:
        "summary: {output.page}"
    script:
        "../scripts/summary.py"


rule judge:
    input:
        lambda wildcards: numbers(),
    output:
        touch("work/report/passed"),
    log:
        "logs/judge.log",
    localrule: True
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=500,
        runtime=10,
    params:
        settings=dict(code=page_code("judge")),
    message:
        "judge: is anything red?"
    script:
        "../scripts/judge.py"
