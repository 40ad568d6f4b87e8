"""The backbone, and one student a domain, arm and seed."""


def training_inputs(wildcards):
    """Images, labels and first weights; the teacher's targets where the arm has a teacher."""
    cohort = STUDY.domains[wildcards.domain].training
    arm = STUDY.arms[wildcards.arm]
    return {
        "cohort": cohort_tables(cohort),
        "images": shard_files(cohort),
        "backbone": result("students/backbone/model.safetensors"),
        "targets": [] if arm.teacher == "none" else result(f"teachers/{wildcards.domain}/targets.npz"),
    }


rule backbone:
    input:
        code=code("backbone"),
    output:
        model=result("students/backbone/model.safetensors"),
        history=result("students/backbone/history.csv"),
    log:
        log_of("backbone"),
    benchmark:
        benchmark_of("backbone/shared")
    params:
        student=plain(STUDY.student),
        training=plain(STUDY.training),
        size=STUDY.imaging.size,
        device=STUDY.device,
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=STUDY.gpus,
    message:
        "First weights of the students"
    script:
        "../workflow_scripts/backbone.py"


rule train_student:
    input:
        unpack(training_inputs),
        code=code("train_student"),
    output:
        model=result("students/{domain}/{arm}/seed{seed}/model.safetensors"),
        history=result("students/{domain}/{arm}/seed{seed}/history.csv"),
    log:
        log_of("train_student/{domain}-{arm}-{seed}"),
    benchmark:
        benchmark_of("train_student/{domain}-{arm}-{seed}")
    params:
        arm=lambda w: plain(STUDY.arms[w.arm]),
        student=plain(STUDY.student),
        training=plain(STUDY.training),
        labels=lambda w: STUDY.domains[w.domain].labels,
        size=STUDY.imaging.size,
        device=STUDY.device,
        shards=lambda w: shard_folders(STUDY.domains[w.domain].training),
    threads: 1
    resources:
        mem_mb=4000,
        runtime=720,
        gpu=STUDY.gpus,
    message:
        "Student of {wildcards.domain}, arm {wildcards.arm}, seed {wildcards.seed}"
    script:
        "../workflow_scripts/train_student.py"
