"""Reads the labels of other domains from the class tokens of an arm's students, or of a control's."""

from collections import defaultdict

from mmpkd.cohorts.tables import read_tables
from mmpkd.evaluation.probe import probe_scores
from mmpkd.evaluation.scores import concatenate
from mmpkd.files import read_npz, write_parquet
from mmpkd.job import job

with job(snakemake):
    inputs, params = snakemake.input, snakemake.params
    group, member = snakemake.wildcards.group, snakemake.wildcards.member
    cohorts = {cohort: read_tables(folder) for cohort, folder in params.cohorts.items()}
    tested = defaultdict(dict)
    for (seed, cohort), file in zip(params.maps, inputs.maps, strict=True):
        tested[seed][cohort] = read_npz(file)
    scores = [
        probe_scores(
            read_npz(file), tested[seed], cohorts, params.labels, params.penalty, domain=group, arm=member, seed=seed
        )
        for seed, file in zip(params.seeds, inputs.features, strict=True)
    ]
    write_parquet(concatenate(scores), snakemake.output[0])
