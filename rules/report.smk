"""The report: every table and figure in one file that opens anywhere, and where it came from."""


rule report:
    input:
        **evaluation_inputs(),
        tables=[file for name in STUDY.tables for file in table_files(name)],
        figures=[file for name in STUDY.figures for file in figure_files(name)],
        flow=result("tables/cohorts.csv"),
        scores=result("evaluation/scores.parquet"),
        maps=[
            result(f"attention/{domain}/{arm}/seed{seed}/{cohort}.npz")
            for domain, arm, seed in STUDENTS
            for cohort in PICTURED
        ],
        assumptions=os.path.relpath(f"{workflow.basedir}/docs/assumptions.md"),
        template=[
            os.path.relpath(f"{workflow.basedir}/mmpkd/report/{name}")
            for name in ("template.html", "style.css", "viewer.js")
        ],
        code=code("report"),
    output:
        report=result("report.html"),
    log:
        log_of("report/all"),
    benchmark:
        benchmark_of("report/all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        study=plain(STUDY),
        withheld=WITHHELD,
        shards={name: shard_folders(name) for name in PICTURED},
        tables=lambda w, output: str(Path(output.report).parent / "tables"),
        figures=lambda w, output: str(Path(output.report).parent / "figures"),
        attention=lambda w, output: str(Path(output.report).parent / "attention"),
    message:
        "Report"
    script:
        "../workflow_scripts/report.py"


def claimed_files():
    """Every file that the study claims: tables, figures, report, and what they were made of as far as it was needed."""
    asked = {*STUDY.tables, *STUDY.figures, *(["report"] if STUDY.report else [])} - {"method"}
    files = [file for name in STUDY.tables for file in table_files(name)]
    files += [file for name in STUDY.figures for file in figure_files(name)]
    if STUDY.report:
        files.append(result("report.html"))
    if asked:
        files += [file for name in COHORTS for file in [*cohort_tables(name), *shard_files(name)]]
    if asked - {"cohorts"}:
        names = ("targets.npz", "model.safetensors")
        files += [result(f"teachers/{domain}/{teacher}/{name}") for domain, teacher in TEACHERS for name in names]
    if asked - {"cohorts", "teachers"}:
        files += [result("students/backbone/model.safetensors"), *(student_file(*student) for student in STUDENTS)]
    if asked - {"cohorts", "teachers", "training"}:
        files.append(result("evaluation/scores.parquet"))
    return files


def workflow_files():
    """The Snakefile first, and the rules."""
    folder = Path(workflow.basedir)
    return ["Snakefile", *sorted(f"rules/{path.name}" for path in folder.glob("rules/*.smk"))]


rule provenance:
    input:
        files=claimed_files(),
        trees=[result(f"phantom/{name}/tree") for name in PHANTOMS],
        workflow=[os.path.relpath(f"{workflow.basedir}/{path}") for path in workflow_files()],
        code=code("provenance", *{f"cohorts/adapters/{STUDY.cohorts[name].adapter}" for name in COHORTS}),
    output:
        record=result("provenance.json"),
        crate=result("ro-crate-metadata.json"),
        workflow=[result(f"workflow/{path}") for path in workflow_files()],
    log:
        log_of("provenance/all"),
    benchmark:
        benchmark_of("provenance/all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        study=plain(STUDY),
        cohorts={name: plain(STUDY.cohorts[name]) for name in COHORTS},
        trees={name: result(f"phantom/{name}/tree") for name in PHANTOMS},
    message:
        "Provenance"
    script:
        "../workflow_scripts/provenance.py"
