"""The tables: each as CSV, Markdown and LaTeX with its caption."""


rule table_cohorts:
    input:
        cohorts=[file for name in COHORTS for file in RESULTS.cohort(name).values()],
        images=[file for name in PICTURED for file in shard_files(name)],
    output:
        **RESULTS.table("cohorts"),
    log:
        RESULTS.log("table_cohorts", "all"),
    benchmark:
        RESULTS.benchmark("table_cohorts", "all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("table_cohorts"),
        folders={name: RESULTS.cohort_folder(name) for name in COHORTS},
        shards={name: shard_folders(name) for name in COHORTS},
        labels={name: STUDY.domains[STUDY.domain_of[name]].labels for name in COHORTS},
    message:
        "Table: cohorts"
    script:
        "../workflow_scripts/table_cohorts.py"


rule table_teachers:
    input:
        predictions=[RESULTS.teacher(*teacher)["predictions"] for teacher in TEACHERS],
    output:
        **RESULTS.table("teachers"),
    log:
        RESULTS.log("table_teachers", "all"),
    benchmark:
        RESULTS.benchmark("table_teachers", "all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("table_teachers"),
        teachers=TEACHERS,
        evaluation=plain(STUDY.evaluation, "confidence", "resamples", "seed"),
    message:
        "Table: teachers"
    script:
        "../workflow_scripts/table_teachers.py"


rule table_classification:
    input:
        scores=RESULTS.scores,
    output:
        **RESULTS.table("classification"),
    log:
        RESULTS.log("table_classification", "all"),
    benchmark:
        RESULTS.benchmark("table_classification", "all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("table_classification"),
        evaluation=plain(STUDY.evaluation, "metric", "methods", "confidence"),
        design=plain_design(),
    message:
        "Table: classification"
    script:
        "../workflow_scripts/table_classification.py"


rule table_probe:
    input:
        scores=RESULTS.scores,
    output:
        **RESULTS.table("probe"),
    log:
        RESULTS.log("table_probe", "all"),
    benchmark:
        RESULTS.benchmark("table_probe", "all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("table_probe"),
        evaluation=plain(STUDY.evaluation, "metric", "methods", "confidence"),
        design=plain_design(),
    message:
        "Table: linear probe"
    script:
        "../workflow_scripts/table_probe.py"


rule table_localization:
    input:
        scores=RESULTS.scores,
    output:
        **RESULTS.table("localization"),
    log:
        RESULTS.log("table_localization", "all"),
    benchmark:
        RESULTS.benchmark("table_localization", "all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("table_localization"),
        evaluation=plain(STUDY.evaluation, "metric", "metrics", "methods", "confidence"),
        design=plain_design(),
    message:
        "Table: localisation in the domain of training"
    script:
        "../workflow_scripts/table_localization.py"


rule table_cross_domain:
    input:
        scores=RESULTS.scores,
    output:
        **RESULTS.table("cross_domain"),
    log:
        RESULTS.log("table_cross_domain", "all"),
    benchmark:
        RESULTS.benchmark("table_cross_domain", "all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("table_cross_domain"),
        evaluation=plain(STUDY.evaluation, "metric", "methods", "confidence"),
        design=plain_design(),
    message:
        "Table: localisation across cohorts and domains"
    script:
        "../workflow_scripts/table_cross_domain.py"


rule table_strata:
    input:
        scores=RESULTS.scores,
    output:
        **RESULTS.table("strata"),
    log:
        RESULTS.log("table_strata", "all"),
    benchmark:
        RESULTS.benchmark("table_strata", "all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("table_strata"),
        evaluation=plain(STUDY.evaluation, "metric", "methods", "confidence"),
        design=plain_design(),
    message:
        "Table: localisation by ROI size, prediction and label"
    script:
        "../workflow_scripts/table_strata.py"


rule table_claims:
    input:
        scores=RESULTS.scores,
    output:
        **RESULTS.table("claims"),
    log:
        RESULTS.log("table_claims", "all"),
    benchmark:
        RESULTS.benchmark("table_claims", "all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("table_claims"),
        evaluation=plain(STUDY.evaluation, "metric", "methods", "confidence", "resamples", "seed"),
        design=plain_design(),
        claims={name: plain(claim) for name, claim in STUDY.claims.items()},
    message:
        "Table: claims"
    script:
        "../workflow_scripts/table_claims.py"


rule table_runtime:
    input:
        scores=RESULTS.scores,
        # what is made of the scores; an edit of one of these makes no new table
        others=[ancient(file) for name in STUDY.tables if name != "runtime" for file in RESULTS.table(name).values()],
        figures=[ancient(file) for name in STUDY.figures for file in RESULTS.figure(name).values()],
    output:
        **RESULTS.table("runtime"),
    log:
        RESULTS.log("table_runtime", "all"),
    benchmark:
        RESULTS.benchmark("table_runtime", "all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        **RESULTS.folders_of_jobs,
        code=code("table_runtime"),
    message:
        "Table: run time"
    script:
        "../workflow_scripts/table_runtime.py"
