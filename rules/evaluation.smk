"""Scores of every map and logit, and of the linear probes, in one long table."""

ARMS = list(dict.fromkeys((domain, arm) for domain, arm, _ in STUDENTS))
PROBES = [
    RESULTS.probe(group, member)
    for group, member in [*ARMS, *((CONTROL, control) for control in CONTROL_SEEDS)]
    if PROBED
]


rule evaluate:
    input:
        unpack(lambda w: twin_inputs([w.domain])),
        **evaluation_inputs(),
        maps=rules.attention.output.maps,
        validation=rules.attention.output.validation,
        twin_maps=rules.attention.output.twins,
    output:
        RESULTS.scores_of("{domain}", "{arm}"),
    log:
        RESULTS.log("evaluate", "{domain}-{arm}"),
    benchmark:
        RESULTS.benchmark("evaluate", "{domain}-{arm}")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(120),
    params:
        code=code("evaluate"),
        seeds=STUDY.seeds,
        maps=MAPS,
        home=lambda w: HOMES[w.domain],
        methods=STUDY.evaluation.methods,
        metrics=list(STUDY.evaluation.scored),
        tolerance=STUDY.evaluation.pointing_tolerance,
        cohorts=FOLDERS,
        shards=SHARDS,
        twins=lambda w: {name: TWIN_FOLDERS[name] for name in TWINNED[w.domain]},
    message:
        "Scores of {wildcards.domain}, arm {wildcards.arm}"
    script:
        "../workflow_scripts/evaluate.py"


rule evaluate_controls:
    input:
        **twin_inputs(DOMAINS),
        **evaluation_inputs(),
        maps=rules.attention_controls.output.maps,
        validation=rules.attention_controls.output.validation,
    output:
        RESULTS.scores_of_controls,
    log:
        RESULTS.log("evaluate_controls", "all"),
    benchmark:
        RESULTS.benchmark("evaluate_controls", "all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(60),
    params:
        code=code("evaluate_controls"),
        maps=CONTROL_MAPS,
        validation=CONTROL_TUNING,
        homes={name: HOMES[STUDY.domain_of[name]] for name in PICTURED},
        methods=STUDY.evaluation.methods,
        metrics=list(STUDY.evaluation.scored),
        tolerance=STUDY.evaluation.pointing_tolerance,
        centre_sigma=STUDY.evaluation.centre_sigma,
        cohorts=FOLDERS,
        shards=SHARDS,
        twins=TWIN_FOLDERS,
    message:
        "Scores of the controls"
    script:
        "../workflow_scripts/evaluate_controls.py"


rule probe:
    input:
        unpack(probe_inputs),
    output:
        RESULTS.probe("{group}", "{member}"),
    log:
        RESULTS.log("probe", "{group}-{member}"),
    benchmark:
        RESULTS.benchmark("probe", "{group}-{member}")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(60),
    params:
        code=code("probe"),
        seeds=lambda w: seeds_of(w.group, w.member),
        maps=lambda w: probed_maps(w.group, w.member),
        cohorts=lambda w: {name: RESULTS.cohort_folder(name) for name in probed_cohorts(w.group)},
        labels=lambda w: {name: STUDY.domains[STUDY.domain_of[name]].labels for name in probed_cohorts(w.group)},
        penalty=STUDY.evaluation.probe.penalty if PROBED else None,
    message:
        "Probe of {wildcards.group}, {wildcards.member}, on the other domains' labels"
    script:
        "../workflow_scripts/probe.py"


rule scores:
    input:
        students=[RESULTS.scores_of(domain, arm) for domain, arm in ARMS],
        controls=RESULTS.scores_of_controls,
        probes=PROBES,
    output:
        RESULTS.scores,
    log:
        RESULTS.log("scores", "all"),
    benchmark:
        RESULTS.benchmark("scores", "all")
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
