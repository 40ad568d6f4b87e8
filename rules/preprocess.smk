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


rule twins:
    input:
        unpack(lambda w: RESULTS.cohort(w.cohort)),
        truth=lambda w: RESULTS.phantom(w.cohort)["truth"],
        twins=lambda w: RESULTS.phantom(w.cohort)["twins"],
    output:
        **RESULTS.twins("{cohort}"),
    log:
        RESULTS.log("twins", "{cohort}"),
    benchmark:
        RESULTS.benchmark("twins", "{cohort}")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(60),
    params:
        code=code("twins"),
        cohort=lambda w: RESULTS.cohort_folder(w.cohort),
        folder=lambda w: RESULTS.twin_folder(w.cohort),
        imaging=plain(STUDY.imaging),
        breast=lambda w: breast_of(w.cohort),
    message:
        "Twins of {wildcards.cohort}"
    script:
        "../workflow_scripts/twins.py"
