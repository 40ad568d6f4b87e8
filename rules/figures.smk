"""The figures: each as PDF and PNG with its caption."""


rule figure_method:
    output:
        pdf=result("figures/method.pdf"),
        png=result("figures/method.png"),
        caption=result("figures/method.caption.txt"),
    log:
        log_of("figure_method/all"),
    benchmark:
        benchmark_of("figure_method/all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("figure_method"),
        study={name: plain(STUDY)[name] for name in ("domains", "arms", "imaging")},
    message:
        "Figure: method"
    script:
        "../workflow_scripts/figure_method.py"


rule figure_cohorts:
    input:
        cohorts=[file for name in COHORTS for file in cohort_tables(name)],
        images=[file for name in PICTURED for file in shard_files(name)],
    output:
        pdf=result("figures/cohorts.pdf"),
        png=result("figures/cohorts.png"),
        caption=result("figures/cohorts.caption.txt"),
    log:
        log_of("figure_cohorts/all"),
    benchmark:
        benchmark_of("figure_cohorts/all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("figure_cohorts"),
        phantoms=PHANTOMS,
        folders={name: result(f"cohorts/{name}") for name in COHORTS},
        shards={name: shard_folders(name) for name in COHORTS},
    message:
        "Figure: cohorts"
    script:
        "../workflow_scripts/figure_cohorts.py"


rule figure_training:
    input:
        **evaluation_inputs([name for name in HOMES.values() if name in PICTURED]),
        histories=[result(f"students/{domain}/{arm}/seed{seed}/history.csv") for domain, arm, seed in STUDENTS],
    output:
        pdf=result("figures/training.pdf"),
        png=result("figures/training.png"),
        caption=result("figures/training.caption.txt"),
    log:
        log_of("figure_training/all"),
    benchmark:
        benchmark_of("figure_training/all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("figure_training"),
        phantoms=PHANTOMS,
        students=STUDENTS,
        cohorts={d: (result(f"cohorts/{home}"), shard_folders(home)) for d, home in HOMES.items() if home in PICTURED},
    message:
        "Figure: training"
    script:
        "../workflow_scripts/figure_training.py"


rule figure_classification:
    input:
        scores=result("evaluation/scores.parquet"),
    output:
        pdf=result("figures/classification.pdf"),
        png=result("figures/classification.png"),
        caption=result("figures/classification.caption.txt"),
    log:
        log_of("figure_classification/all"),
    benchmark:
        benchmark_of("figure_classification/all")
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
        domains=plain_domains(),
    message:
        "Figure: classification"
    script:
        "../workflow_scripts/figure_classification.py"


rule figure_attention_examples:
    input:
        **evaluation_inputs(),
        scores=result("evaluation/scores.parquet"),
        maps=[
            result(f"attention/{d}/{a}/seed{k}/{c}.npz")
            for d, a, k in STUDENTS
            if a in ("baseline", "mmpkd")
            for c in (STUDY.domains[d].training, *STUDY.domains[d].cohorts)
            if c in PICTURED
        ],
    output:
        pdf=result("figures/attention_examples.pdf"),
        png=result("figures/attention_examples.png"),
        caption=result("figures/attention_examples.caption.txt"),
    log:
        log_of("figure_attention_examples/all"),
    benchmark:
        benchmark_of("figure_attention_examples/all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("figure_attention_examples"),
        phantoms=PHANTOMS,
        withheld=WITHHELD,
        evaluation=plain(STUDY.evaluation, "metric", "methods", "confidence"),
        domains=plain_domains(),
        shards={name: shard_folders(name) for name in PICTURED},
    message:
        "Figure: examples of attention maps"
    script:
        "../workflow_scripts/figure_attention_examples.py"


rule figure_localization:
    input:
        scores=result("evaluation/scores.parquet"),
    output:
        pdf=result("figures/localization.pdf"),
        png=result("figures/localization.png"),
        caption=result("figures/localization.caption.txt"),
    log:
        log_of("figure_localization/all"),
    benchmark:
        benchmark_of("figure_localization/all")
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
        domains=plain_domains(),
    message:
        "Figure: localisation in the domain of training"
    script:
        "../workflow_scripts/figure_localization.py"


rule figure_cross_domain:
    input:
        scores=result("evaluation/scores.parquet"),
    output:
        pdf=result("figures/cross_domain.pdf"),
        png=result("figures/cross_domain.png"),
        caption=result("figures/cross_domain.caption.txt"),
    log:
        log_of("figure_cross_domain/all"),
    benchmark:
        benchmark_of("figure_cross_domain/all")
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
        domains=plain_domains(),
    message:
        "Figure: gains across cohorts and domains"
    script:
        "../workflow_scripts/figure_cross_domain.py"


rule figure_claims:
    input:
        table=result("tables/claims.csv"),
    output:
        pdf=result("figures/claims.pdf"),
        png=result("figures/claims.png"),
        caption=result("figures/claims.caption.txt"),
    log:
        log_of("figure_claims/all"),
    benchmark:
        benchmark_of("figure_claims/all")
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
    message:
        "Figure: claims"
    script:
        "../workflow_scripts/figure_claims.py"
