"""The tables: each as CSV, Markdown and LaTeX with its caption."""


rule table_cohorts:
    input:
        cohorts=[file for name in COHORTS for file in cohort_tables(name)],
        images=[file for name in PICTURED for file in shard_files(name)],
    output:
        csv=result("tables/cohorts.csv"),
        md=result("tables/cohorts.md"),
        tex=result("tables/cohorts.tex"),
        caption=result("tables/cohorts.caption.txt"),
    log:
        log_of("table_cohorts/all"),
    benchmark:
        benchmark_of("table_cohorts/all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("table_cohorts"),
        folders={name: result(f"cohorts/{name}") for name in COHORTS},
        shards={name: shard_folders(name) for name in COHORTS},
        labels={name: STUDY.domains[STUDY.domain_of[name]].labels for name in COHORTS},
    message:
        "Table: cohorts"
    script:
        "../workflow_scripts/table_cohorts.py"


rule table_teachers:
    input:
        predictions=[result(f"teachers/{domain}/{teacher}/predictions.parquet") for domain, teacher in TEACHERS],
    output:
        csv=result("tables/teachers.csv"),
        md=result("tables/teachers.md"),
        tex=result("tables/teachers.tex"),
        caption=result("tables/teachers.caption.txt"),
    log:
        log_of("table_teachers/all"),
    benchmark:
        benchmark_of("table_teachers/all")
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
        scores=result("evaluation/scores.parquet"),
    output:
        csv=result("tables/classification.csv"),
        md=result("tables/classification.md"),
        tex=result("tables/classification.tex"),
        caption=result("tables/classification.caption.txt"),
    log:
        log_of("table_classification/all"),
    benchmark:
        benchmark_of("table_classification/all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("table_classification"),
        evaluation=plain(STUDY.evaluation, "metric", "methods", "confidence"),
    message:
        "Table: classification"
    script:
        "../workflow_scripts/table_classification.py"


rule table_probe:
    input:
        scores=result("evaluation/scores.parquet"),
    output:
        csv=result("tables/probe.csv"),
        md=result("tables/probe.md"),
        tex=result("tables/probe.tex"),
        caption=result("tables/probe.caption.txt"),
    log:
        log_of("table_probe/all"),
    benchmark:
        benchmark_of("table_probe/all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("table_probe"),
        evaluation=plain(STUDY.evaluation, "metric", "methods", "confidence"),
    message:
        "Table: linear probe"
    script:
        "../workflow_scripts/table_probe.py"


rule table_localization:
    input:
        scores=result("evaluation/scores.parquet"),
    output:
        csv=result("tables/localization.csv"),
        md=result("tables/localization.md"),
        tex=result("tables/localization.tex"),
        caption=result("tables/localization.caption.txt"),
    log:
        log_of("table_localization/all"),
    benchmark:
        benchmark_of("table_localization/all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("table_localization"),
        evaluation=plain(STUDY.evaluation, "metric", "metrics", "methods", "confidence"),
        homes=HOMES,
    message:
        "Table: localisation in the domain of training"
    script:
        "../workflow_scripts/table_localization.py"


rule table_cross_domain:
    input:
        scores=result("evaluation/scores.parquet"),
    output:
        csv=result("tables/cross_domain.csv"),
        md=result("tables/cross_domain.md"),
        tex=result("tables/cross_domain.tex"),
        caption=result("tables/cross_domain.caption.txt"),
    log:
        log_of("table_cross_domain/all"),
    benchmark:
        benchmark_of("table_cross_domain/all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("table_cross_domain"),
        evaluation=plain(STUDY.evaluation, "metric", "methods", "confidence"),
        homes=HOMES,
        domain_of=STUDY.domain_of,
    message:
        "Table: localisation across cohorts and domains"
    script:
        "../workflow_scripts/table_cross_domain.py"


rule table_strata:
    input:
        scores=result("evaluation/scores.parquet"),
    output:
        csv=result("tables/strata.csv"),
        md=result("tables/strata.md"),
        tex=result("tables/strata.tex"),
        caption=result("tables/strata.caption.txt"),
    log:
        log_of("table_strata/all"),
    benchmark:
        benchmark_of("table_strata/all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("table_strata"),
        evaluation=plain(STUDY.evaluation, "metric", "methods", "confidence"),
        domain_of=STUDY.domain_of,
    message:
        "Table: localisation by ROI size, prediction and label"
    script:
        "../workflow_scripts/table_strata.py"


rule table_claims:
    input:
        scores=result("evaluation/scores.parquet"),
    output:
        csv=result("tables/claims.csv"),
        md=result("tables/claims.md"),
        tex=result("tables/claims.tex"),
        caption=result("tables/claims.caption.txt"),
    log:
        log_of("table_claims/all"),
    benchmark:
        benchmark_of("table_claims/all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("table_claims"),
        evaluation=plain(STUDY.evaluation, "metric", "methods", "confidence", "resamples", "seed"),
        claims={name: plain(claim) for name, claim in STUDY.claims.items()},
    message:
        "Table: claims"
    script:
        "../workflow_scripts/table_claims.py"


rule table_runtime:
    input:
        scores=result("evaluation/scores.parquet"),
        # what is made of the scores; an edit of one of these makes no new table
        others=[ancient(file) for name in STUDY.tables if name != "runtime" for file in table_files(name)],
        figures=[ancient(file) for name in STUDY.figures for file in figure_files(name)],
    output:
        csv=result("tables/runtime.csv"),
        md=result("tables/runtime.md"),
        tex=result("tables/runtime.tex"),
        caption=result("tables/runtime.caption.txt"),
    log:
        log_of("table_runtime/all"),
    benchmark:
        benchmark_of("table_runtime/all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("table_runtime"),
        benchmarks=result("benchmarks"),
        logs=result("logs"),
    message:
        "Table: run time"
    script:
        "../workflow_scripts/table_runtime.py"
