"""The backbone, and one student a domain, arm and seed.

A job trains one student, or with `seeds_together` those of all seeds of an arm: importing torch and timm can cost a
third of what a small student does.
"""

SEEDS = STUDY.seeds if STUDY.seeds_together else ["{seed}"]
TRAINING = "{domain}-{arm}" if STUDY.seeds_together else "{domain}-{arm}-{seed}"


rule backbone:
    output:
        **RESULTS.backbone,
    log:
        RESULTS.log("backbone", "shared"),
    benchmark:
        RESULTS.benchmark("backbone", "shared")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000 + batch_mb(STUDY.training)),
        runtime=per_attempt(120),
        gpu=STUDY.gpus,
    params:
        code=code("backbone"),
        student=plain(STUDY.student),
        training=plain(STUDY.training, without=["epochs", "learning_rate"]),
        size=STUDY.imaging.size,
        device=STUDY.device,
    message:
        "First weights of the students"
    script:
        "../workflow_scripts/backbone.py"


rule train_student:
    input:
        unpack(training_inputs),
    output:
        models=[RESULTS.student("{domain}", "{arm}", seed)["model"] for seed in SEEDS],
        histories=[RESULTS.student("{domain}", "{arm}", seed)["history"] for seed in SEEDS],
    log:
        RESULTS.log("train_student", TRAINING),
    benchmark:
        RESULTS.benchmark("train_student", TRAINING)
    conda:
        "../envs/mmpkd.yaml"
    threads: lambda w: STUDY.training_of(w.domain, w.arm).processes
    resources:
        mem_mb=lambda w, attempt: training_mb(STUDY.training_of(w.domain, w.arm)) * attempt,
        runtime=per_attempt(720),
        gpu=lambda w: max(STUDY.gpus, STUDY.training_of(w.domain, w.arm).processes) if STUDY.gpus else 0,
    params:
        code=code("train_student"),
        seeds=job_seeds,
        arm=lambda w: plain(STUDY.arms[w.arm], without=["title", "course"]),
        student=plain(STUDY.student),
        training=lambda w: plain(STUDY.training_of(w.domain, w.arm)),
        problem=lambda w: STUDY.domains[w.domain].problem,
        labels=lambda w: STUDY.domains[w.domain].labels,
        size=STUDY.imaging.size,
        imaging=plain(STUDY.imaging),  # so that `mmpkd explain` prepares images likewise
        breast=lambda w: breast_of(HOMES[w.domain]),
        device=STUDY.device,
        cohort=lambda w: RESULTS.cohort_folder(HOMES[w.domain]),
        shards=lambda w: shard_folders(HOMES[w.domain]),
    message:
        "Students of {wildcards.domain}, arm {wildcards.arm}, seeds {params.seeds}"
    script:
        "../workflow_scripts/train_student.py"
