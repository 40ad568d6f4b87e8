"""Data sets as tests read them: each by the adapter of its cohort."""

from pkgutil import iter_modules

from mmpkd.cohorts import datasets
from mmpkd.cohorts.base import Need, find_data_set
from mmpkd.cohorts.tables import CohortTables
from mmpkd.config.cohorts import Cohort

ADAPTERS = sorted(module.name for module in iter_modules(datasets.__path__))


def read(cohort: Cohort, labels: list[str], *, survey: bool = False) -> CohortTables:
    return find_data_set(cohort.adapter)(cohort, labels, survey=survey).read()


def needs(cohort: Cohort) -> list[Need]:
    return find_data_set(cohort.adapter)(cohort).needs()


def is_restricted(cohort: Cohort) -> bool:
    return find_data_set(cohort.adapter)(cohort).RESTRICTED
