"""DICOM to the memory-mapped image store; regions of interest through the same geometry."""


rule preprocess:
    input:
        cohort=lambda w: cohort_tables(w.cohort),
    output:
        pixels=result("images/{cohort}/shard{shard}/pixels.npy"),
        geometry=result("images/{cohort}/shard{shard}/geometry.parquet"),
        rois=result("images/{cohort}/shard{shard}/rois.npy"),
        roi_table=result("images/{cohort}/shard{shard}/rois.parquet"),
        rejected=result("images/{cohort}/shard{shard}/rejected.csv"),
    log:
        log_of("preprocess/{cohort}-{shard}"),
    benchmark:
        benchmark_of("preprocess/{cohort}-{shard}")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(240),
    params:
        code=code("preprocess"),
        imaging=plain(STUDY.imaging),
        breast=lambda w: breast_of(w.cohort),
        shards=lambda w: STUDY.cohorts[w.cohort].shards,
        rejected_limit=lambda w: STUDY.cohorts[w.cohort].rejected_limit,
    message:
        "Images of {wildcards.cohort}, shard {wildcards.shard}"
    script:
        "../workflow_scripts/preprocess.py"
