"""The tables and figures: a rule for each entry of the registry, which is made of what the entry needs."""

EXAMPLES = [  # maps among which the examples of attention are chosen: domain, arm, seed, cohort
    (domain, arm, seed, cohort)
    for domain, arm, seed in STUDENTS
    if arm in (STUDY.design.primary, STUDY.design.reference)
    for cohort in (STUDY.domains[domain].training, *STUDY.domains[domain].cohorts)
    if cohort in PICTURED
]
LEARNT = {domain: cohort for domain, cohort in HOMES.items() if cohort in PICTURED}
OTHERS = files_of([output for output in STUDY.outputs if "outputs" not in output.needs])
# Of each need of the registry: the files, and the keys and folders that belong to them.
NEEDED = {
    "cohorts": (
        {
            "cohorts": [file for name in COHORTS for file in RESULTS.cohort(name).values()],
            "images": [file for name in PICTURED for file in shard_files(name)],
        },
        {
            "cohorts": {name: RESULTS.cohort_folder(name) for name in COHORTS},
            "shards": {name: shard_folders(name) for name in COHORTS},
            "labels": {name: STUDY.domains[STUDY.domain_of[name]].known for name in COHORTS},
        },
    ),
    "predictions": (
        {"predictions": [RESULTS.teacher(*teacher)["predictions"] for teacher in TEACHERS]},
        {"teachers": TEACHERS},
    ),
    "histories": (
        {
            "histories": [RESULTS.student(*student)["history"] for student in STUDENTS],
            "learnt": sum(evaluation_inputs(LEARNT.values()).values(), []),
        },
        {
            "students": STUDENTS,
            "learnt": {name: (RESULTS.cohort_folder(home), shard_folders(home)) for name, home in LEARNT.items()},
        },
    ),
    "scores": ({"scores": RESULTS.scores}, {}),
    "maps": (
        {"maps": [RESULTS.attention(*key) for key in EXAMPLES], "pictures": sum(evaluation_inputs().values(), [])},
        {"maps": EXAMPLES, "pictures": SHARDS, "withheld": WITHHELD, "hidden": HIDDEN},
    ),
    "twins": ({}, {}),
    "habits": ({}, {}),
    "claims": ({"claims": RESULTS.table("claims")["csv"]}, {}),
    # An edit of a table or figure makes nothing new of this need.
    "outputs": (
        {"summarised": RESULTS.scores, "others": [ancient(file) for file in OTHERS]},
        {"results": RESULTS.root},
    ),
}


def in_report(item, files):
    """The files of a table or figure, the one that a browser shows best marked for `snakemake --report`."""
    shown = {"table": "csv", "figure": "png"}[item.kind]
    marks = {
        "category": f"{item.kind.capitalize()}s",
        "labels": {"title": item.title, "rule": item.rule},
        "caption": os.path.abspath(files["caption"]),
    }
    return {**files, shown: report(files[shown], **marks)}


for item in OUTPUTS:
    if not STUDY.can_make(item):
        continue

    rule:
        name:
            item.rule
        input:
            **{key: files for need in item.needs for key, files in NEEDED[need][0].items()},
        output:
            **in_report(item, RESULTS.output(item.kind, item.name)),
        log:
            RESULTS.log(item.rule, "all"),
        benchmark:
            RESULTS.benchmark(item.rule, "all")
        conda:
            "../envs/mmpkd.yaml"
        threads: 1
        resources:
            mem_mb=per_attempt(4000),
            runtime=per_attempt(30),
        params:
            **settings_of(STUDY, item),
            code=code("output", f"outputs/{item.rule}"),
            of_files={key: value for need in item.needs for key, value in NEEDED[need][1].items()},
        message:
            f"{item.kind.capitalize()}: {item.title}"
        script:
            "../workflow_scripts/output.py"
