"""Scores of every map and logit, and of the linear probes, in one long table."""

ARMS = list(dict.fromkeys((domain, arm) for domain, arm, _ in STUDENTS))
PROBES = [
    *[result(f"evaluation/probe/{domain}/{arm}.parquet") for domain, arm in ARMS if probed_domains(domain)],
    *([result("evaluation/probe/control.parquet")] if probed_domains() else []),
]


rule evaluate:
    input:
        **evaluation_inputs(),
        maps=rules.attention.output.maps,
        validation=rules.attention.output.validation,
        code=code("evaluate"),
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
        mem_mb=4000,
        runtime=120,
    params:
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
        unpack(lambda w: evaluation_inputs([HOMES[name] for name in probed_domains(w.domain)])),
        models=lambda w: [student_file(w.domain, w.arm, seed) for seed in STUDY.seeds],
        code=code("probe"),
    output:
        result("evaluation/probe/{domain}/{arm}.parquet"),
    log:
        log_of("probe/{domain}-{arm}"),
    benchmark:
        benchmark_of("probe/{domain}-{arm}")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=STUDY.gpus,
    params:
        labels=lambda w: {HOMES[name]: STUDY.domains[name].labels for name in probed_domains(w.domain)},
        evaluation=plain(STUDY.evaluation, "probe", "seed"),
        batch_size=STUDY.training.batch_size,
        shards=lambda w: {HOMES[name]: shard_folders(HOMES[name]) for name in probed_domains(w.domain)},
        device=STUDY.device,
    message:
        "Probe of {wildcards.domain}, arm {wildcards.arm}, on the other domains' labels"
    script:
        "../workflow_scripts/probe.py"


rule probe_controls:
    input:
        **evaluation_inputs([HOMES[name] for name in probed_domains()]),
        backbone=result("students/backbone/model.safetensors"),
        code=code("probe_controls"),
    output:
        result("evaluation/probe/control.parquet"),
    log:
        log_of("probe_controls/all"),
    benchmark:
        benchmark_of("probe_controls/all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=STUDY.gpus,
    params:
        controls=CONTROLS,
        student=plain(STUDY.student),
        size=STUDY.imaging.size,
        labels={HOMES[name]: STUDY.domains[name].labels for name in probed_domains()},
        evaluation=plain(STUDY.evaluation, "probe", "seed"),
        batch_size=STUDY.training.batch_size,
        shards={HOMES[name]: shard_folders(HOMES[name]) for name in probed_domains()},
        device=STUDY.device,
    message:
        "Probe of the untrained and the pretrained student"
    script:
        "../workflow_scripts/probe_controls.py"


rule scores:
    input:
        students=[result(f"evaluation/{domain}/{arm}.parquet") for domain, arm in ARMS],
        controls=result("evaluation/control.parquet"),
        probes=PROBES,
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
