"""DICOM to the memory-mapped image store; regions of interest through the same geometry."""


rule preprocess:
    input:
        unpack(lambda w: RESULTS.cohort(w.cohort)),
    output:
        **RESULTS.shard("{cohort}", "{shard}"),
    log:
        RESULTS.log("preprocess", "{cohort}-{shard}"),
    benchmark:
        RESULTS.benchmark("preprocess", "{cohort}-{shard}")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(240),
    params:
        code=code("preprocess"),
        cohort=lambda w: RESULTS.cohort_folder(w.cohort),
        folder=lambda w: RESULTS.shard_folder(w.cohort, w.shard),
        imaging=plain(STUDY.imaging),
        breast=lambda w: breast_of(w.cohort),
        shards=lambda w: STUDY.cohorts[w.cohort].shards,
        rejected_limit=lambda w: STUDY.cohorts[w.cohort].rejected_limit,
    message:
        "Images of {wildcards.cohort}, shard {wildcards.shard}"
    script:
        "../workflow_scripts/preprocess.py"
