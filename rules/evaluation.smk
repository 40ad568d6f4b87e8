"""Scores of every map and logit, and of the linear probes, in one long table."""

ARMS = list(dict.fromkeys((domain, arm) for domain, arm, _ in STUDENTS))
PROBES = [
    result(f"evaluation/probe/{domain}/{arm}.parquet")
    for domain, arm in [*ARMS, *(("control", control) for control in CONTROLS)]
    if PROBED
]


rule evaluate:
    input:
        **evaluation_inputs(),
        maps=rules.attention.output.maps,
        validation=rules.attention.output.validation,
    output:
        result("evaluation/{domain}/{arm}.parquet"),
    log:
        log_of("evaluate/{domain}-{arm}"),
    benchmark:
        benchmark_of("evaluate/{domain}-{arm}")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(120),
    params:
        code=code("evaluate"),
        home=lambda w: HOMES[w.domain],
        methods=STUDY.evaluation.methods,
        metrics=list(STUDY.evaluation.scored),
        tolerance=STUDY.evaluation.pointing_tolerance,
        shards={name: shard_folders(name) for name in PICTURED},
    message:
        "Scores of {wildcards.domain}, arm {wildcards.arm}"
    script:
        "../workflow_scripts/evaluate.py"


rule evaluate_controls:
    input:
        **evaluation_inputs(),
        maps=rules.attention_controls.output.maps,
        validation=rules.attention_controls.output.validation,
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
        mem_mb=per_attempt(4000),
        runtime=per_attempt(60),
    params:
        code=code("evaluate_controls"),
        homes={name: HOMES[STUDY.domain_of[name]] for name in PICTURED},
        methods=STUDY.evaluation.methods,
        metrics=list(STUDY.evaluation.scored),
        tolerance=STUDY.evaluation.pointing_tolerance,
        centre_sigma=STUDY.evaluation.centre_sigma,
        shards={name: shard_folders(name) for name in PICTURED},
    message:
        "Scores of the controls"
    script:
        "../workflow_scripts/evaluate_controls.py"


rule probe:
    input:
        unpack(probe_inputs),
    output:
        result("evaluation/probe/{group}/{member}.parquet"),
    log:
        log_of("probe/{group}-{member}"),
    benchmark:
        benchmark_of("probe/{group}-{member}")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(60),
    params:
        code=code("probe"),
        labels=lambda w: {name: STUDY.domains[STUDY.domain_of[name]].labels for name in probed_cohorts(w.group)},
        penalty=STUDY.evaluation.probe.penalty if PROBED else None,
    message:
        "Probe of {wildcards.group}, {wildcards.member}, on the other domains' labels"
    script:
        "../workflow_scripts/probe.py"


rule scores:
    input:
        students=[result(f"evaluation/{domain}/{arm}.parquet") for domain, arm in ARMS],
        controls=result("evaluation/control.parquet"),
        probes=PROBES,
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
        mem_mb=per_attempt(8000),
        runtime=per_attempt(30),
    params:
        code=code("scores"),
    message:
        "One long table of all scores"
    script:
        "../workflow_scripts/scores.py"
