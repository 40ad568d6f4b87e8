"""The figures: each as PDF and PNG with its caption."""

EXAMPLES = [  # maps among which attention_examples chooses: domain, arm, seed, cohort
    (domain, arm, seed, cohort)
    for domain, arm, seed in STUDENTS
    if arm in (STUDY.design.primary, STUDY.design.reference)
    for cohort in (STUDY.domains[domain].training, *STUDY.domains[domain].cohorts)
    if cohort in PICTURED
]


rule figure_method:
    output:
        **RESULTS.figure("method"),
    log:
        RESULTS.log("figure_method", "all"),
    benchmark:
        RESULTS.benchmark("figure_method", "all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("figure_method"),
        study=plain(STUDY, "domains", "arms", "design", "imaging"),
    message:
        "Figure: method"
    script:
        "../workflow_scripts/figure_method.py"


rule figure_cohorts:
    input:
        cohorts=[file for name in COHORTS for file in RESULTS.cohort(name).values()],
        images=[file for name in PICTURED for file in shard_files(name)],
    output:
        **RESULTS.figure("cohorts"),
    log:
        RESULTS.log("figure_cohorts", "all"),
    benchmark:
        RESULTS.benchmark("figure_cohorts", "all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("figure_cohorts"),
        phantoms=PHANTOMS,
        folders={name: RESULTS.cohort_folder(name) for name in COHORTS},
        shards={name: shard_folders(name) for name in COHORTS},
    message:
        "Figure: cohorts"
    script:
        "../workflow_scripts/figure_cohorts.py"


rule figure_training:
    input:
        **evaluation_inputs([name for name in HOMES.values() if name in PICTURED]),
        histories=[RESULTS.student(*student)["history"] for student in STUDENTS],
    output:
        **RESULTS.figure("training"),
    log:
        RESULTS.log("figure_training", "all"),
    benchmark:
        RESULTS.benchmark("figure_training", "all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("figure_training"),
        phantoms=PHANTOMS,
        design=plain_design(),
        students=STUDENTS,
        cohorts={d: (RESULTS.cohort_folder(home), shard_folders(home)) for d, home in HOMES.items() if home in PICTURED},
    message:
        "Figure: training"
    script:
        "../workflow_scripts/figure_training.py"


rule figure_classification:
    input:
        scores=RESULTS.scores,
    output:
        **RESULTS.figure("classification"),
    log:
        RESULTS.log("figure_classification", "all"),
    benchmark:
        RESULTS.benchmark("figure_classification", "all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("figure_classification"),
        phantoms=PHANTOMS,
        evaluation=plain(STUDY.evaluation, "metric", "methods", "confidence"),
        design=plain_design(),
    message:
        "Figure: classification"
    script:
        "../workflow_scripts/figure_classification.py"


rule figure_attention_examples:
    input:
        **evaluation_inputs(),
        scores=RESULTS.scores,
        maps=[RESULTS.attention(*key) for key in EXAMPLES],
    output:
        **RESULTS.figure("attention_examples"),
    log:
        RESULTS.log("figure_attention_examples", "all"),
    benchmark:
        RESULTS.benchmark("figure_attention_examples", "all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("figure_attention_examples"),
        phantoms=PHANTOMS,
        maps=EXAMPLES,
        withheld=WITHHELD,
        evaluation=plain(STUDY.evaluation, "metric", "methods", "confidence"),
        design=plain_design(),
        shards=SHARDS,
    message:
        "Figure: examples of attention maps"
    script:
        "../workflow_scripts/figure_attention_examples.py"


rule figure_localization:
    input:
        scores=RESULTS.scores,
    output:
        **RESULTS.figure("localization"),
    log:
        RESULTS.log("figure_localization", "all"),
    benchmark:
        RESULTS.benchmark("figure_localization", "all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("figure_localization"),
        phantoms=PHANTOMS,
        evaluation=plain(STUDY.evaluation, "metric", "methods", "confidence"),
        design=plain_design(),
    message:
        "Figure: localisation in the domain of training"
    script:
        "../workflow_scripts/figure_localization.py"


rule figure_cross_domain:
    input:
        scores=RESULTS.scores,
    output:
        **RESULTS.figure("cross_domain"),
    log:
        RESULTS.log("figure_cross_domain", "all"),
    benchmark:
        RESULTS.benchmark("figure_cross_domain", "all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("figure_cross_domain"),
        phantoms=PHANTOMS,
        evaluation=plain(STUDY.evaluation, "metric", "methods", "confidence"),
        design=plain_design(),
    message:
        "Figure: gains across cohorts and domains"
    script:
        "../workflow_scripts/figure_cross_domain.py"


rule figure_claims:
    input:
        table=RESULTS.table("claims")["csv"],
    output:
        **RESULTS.figure("claims"),
    log:
        RESULTS.log("figure_claims", "all"),
    benchmark:
        RESULTS.benchmark("figure_claims", "all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("figure_claims"),
        phantoms=PHANTOMS,
        evaluation=plain(STUDY.evaluation, "metric", "methods", "confidence"),
        design=plain_design(),
    message:
        "Figure: claims"
    script:
        "../workflow_scripts/figure_claims.py"
