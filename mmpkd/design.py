"""The design of a study: its training domains, the cells that students are scored in, and the roles of its arms.

Built once from the validated configuration and passed to statistics, tables, figures, report and viewer. No arm is
known by its name: colours, contrasts and controls follow from the role that the configuration gives it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

RELATIONS = IN_DOMAIN, OTHER_DATA_SET, OTHER_MODALITY = ("in-domain", "other data set", "other modality")
SECTIONS = ("domains", "arms", "design", "cohorts")  # of the configuration, of which `Design.of` reads parts
CONTROL = "control"  # stands for the training domain in the scores of maps that no student of the study made
CONTROLS = ("uniform", "centre", "edges", "untrained", "pretrained")  # the arms of that domain
TO_BEAT = ("centre", "edges", "untrained")  # of these: maps that owe nothing to training


@dataclass(frozen=True)
class Cell:
    """The students of a training domain on a cohort."""

    domain: str
    cohort: str
    relation: str  # one of RELATIONS

    def __str__(self) -> str:
        return f"{self.domain}@{self.cohort}"


@dataclass(frozen=True)
class Score:
    """Which value of the long table: a metric of a method's maps, in the regions of a label."""

    metric: str
    method: str
    label: str = "any"  # the union of an image's regions

    @property
    def columns(self) -> dict[str, str]:
        """The columns of the long table that choose it."""
        return {"method": self.method, "metric": self.metric, "label": self.label}


class StudentKey(NamedTuple):
    """Which student."""

    domain: str
    arm: str
    seed: int


@dataclass(frozen=True)
class TrainingDomain:
    """A modality: the cohort that its students learn from, and further cohorts for evaluation alone."""

    name: str
    training: str
    further: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def cohorts(self) -> tuple[str, ...]:
        """The cohort of training first."""
        return (self.training, *self.further)


@dataclass(frozen=True)
class Design:
    """What a study compares, on what.

    Attributes:
        domains: the training domains in order.
        titles: what figures and report call each arm; an arm without a title goes by its name.
        reference: the arm that gains are against.
        primary: the arm whose gain is the study's question; None in a study of the reference alone.
        shuffled: the control arm, whose teacher speaks of other patients; None where there is none.
        phantoms: the cohorts that are fabricated, in the order of the domains.
    """

    domains: tuple[TrainingDomain, ...]
    titles: Mapping[str, str]
    reference: str
    primary: str | None
    shuffled: str | None
    phantoms: tuple[str, ...] = ()

    @classmethod
    def of(cls, study: Mapping[str, Any]) -> "Design":
        """The design of a configuration as plain values: its keys `domains`, `arms`, `design` and `cohorts`."""
        domains = tuple(
            TrainingDomain(name, domain["training"], tuple(domain["cohorts"]), tuple(domain["labels"]))
            for name, domain in study["domains"].items()
        )
        titles = {name: arm["title"] for name, arm in study["arms"].items() if arm["title"]}
        cohorts = study.get("cohorts", {})
        used = (name for domain in domains for name in domain.cohorts)
        phantoms = tuple(name for name in used if cohorts.get(name, {}).get("phantom"))
        return cls(domains, titles, **study["design"], phantoms=phantoms)

    @cached_property
    def domain_of(self) -> dict[str, str]:
        """The domain of each cohort."""
        return {cohort: domain.name for domain in self.domains for cohort in domain.cohorts}

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """All cells: domain by domain, the cohorts of its own modality first."""
        return tuple(
            self.cell(domain.name, cohort)
            for domain in self.domains
            for cohort in sorted(self.domain_of, key=lambda name: self.domain_of[name] != domain.name)
        )

    @property
    def home_cells(self) -> tuple[Cell, ...]:
        """Each domain on the cohort that its students learn from."""
        return tuple(self.cell(domain.name, domain.training) for domain in self.domains)

    def cell(self, domain: str, cohort: str) -> Cell:
        """A training domain on a cohort, and how the two are related.

        Args:
            domain: of training.
            cohort: whose test images are scored.

        Raises:
            KeyError: the study has no such domain or cohort.
        """
        training = self.home(domain)
        if self.domain_of[cohort] != domain:
            return Cell(domain, cohort, OTHER_MODALITY)
        return Cell(domain, cohort, IN_DOMAIN if cohort == training else OTHER_DATA_SET)

    def parse(self, text: str) -> Cell:
        """The cell that the configuration writes as `domain@cohort`."""
        return self.cell(*split_cell(text))

    def home(self, domain: str) -> str:
        """The cohort that a domain's students learn from."""
        return {one.name: one.training for one in self.domains}[domain]

    @property
    def roles(self) -> tuple[str | None, str | None, str | None]:
        """The reference, the primary arm and the shuffled control."""
        return self.reference, self.primary, self.shuffled

    def order(self, arms: Iterable[str]) -> list[str]:
        """The reference, the primary arm, the shuffled control, then others by name."""
        arms = set(arms)
        return [arm for arm in self.roles if arm in arms] + sorted(arms - set(self.roles))

    def title(self, arm: str) -> str:
        """What figures and report call an arm."""
        return self.titles.get(arm, arm.replace("_", " "))


def split_cell(text: str) -> tuple[str, str]:
    """Domain and cohort of `domain@cohort`."""
    domain, cohort = text.split("@")
    return domain, cohort
