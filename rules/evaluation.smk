"""Scores of every map and logit, in one long table."""

SCORE_FILES = [
    *[result(f"evaluation/{domain}/{arm}/seed{seed}.parquet") for domain, arm, seed in STUDENTS],
    result("evaluation/control.parquet"),
]


rule evaluate:
    input:
        **evaluation_inputs(),
        maps=[result(f"attention/{{domain}}/{{arm}}/seed{{seed}}/{cohort}.npz") for cohort in PICTURED],
        code=code("evaluate"),
    output:
        result("evaluation/{domain}/{arm}/seed{seed}.parquet"),
    log:
        log_of("evaluate/{domain}-{arm}-{seed}"),
    benchmark:
        benchmark_of("evaluate/{domain}-{arm}-{seed}")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        methods=STUDY.evaluation.methods,
        metrics=list(STUDY.evaluation.scored),
        tolerance=STUDY.evaluation.pointing_tolerance,
        shards={name: shard_folders(name) for name in PICTURED},
    message:
        "Scores of {wildcards.domain}, arm {wildcards.arm}, seed {wildcards.seed}"
    script:
        "../workflow_scripts/evaluate.py"


rule evaluate_controls:
    input:
        **evaluation_inputs(),
        maps=CONTROL_MAPS,
        code=code("evaluate_controls"),
    output:
        result("evaluation/control.parquet"),
    log:
        log_of("evaluate_controls/all"),
    benchmark:
        benchmark_of("evaluate_controls/all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        methods=STUDY.evaluation.methods,
        metrics=list(STUDY.evaluation.scored),
        tolerance=STUDY.evaluation.pointing_tolerance,
        centre_sigma=STUDY.evaluation.centre_sigma,
        shards={name: shard_folders(name) for name in PICTURED},
    message:
        "Scores of the controls"
    script:
        "../workflow_scripts/evaluate_controls.py"


rule scores:
    input:
        scores=SCORE_FILES,
        code=code("scores"),
    output:
        result("evaluation/scores.parquet"),
    log:
        log_of("scores/all"),
    benchmark:
        benchmark_of("scores/all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=30,
    message:
        "One long table of all scores"
    script:
        "../workflow_scripts/scores.py"
