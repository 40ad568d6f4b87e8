"""Makes a table or a figure: the module that has the name of the rule does."""

from importlib import import_module

from mmpkd.job import job
from mmpkd.outputs.inputs import Inputs

with job(snakemake):
    inputs = Inputs.of(dict(snakemake.input.items()), dict(snakemake.params.items()))
    import_module(f"mmpkd.outputs.{snakemake.rule}").make(inputs).write(*snakemake.output)
