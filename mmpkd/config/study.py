"""The whole study: every section together, and what must agree between them."""

import re
import reprlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from pkgutil import iter_modules
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from mmpkd.config.base import Section, did_you_mean, hint, is_null, keys_beside
from mmpkd.config.cohorts import Cohort
from mmpkd.config.evaluation import Claim, Evaluation
from mmpkd.config.imaging import Breast, Imaging
from mmpkd.config.outputs import FIGURES, TABLES, Output, chosen
from mmpkd.config.students import Arm, Roles, StudentConfig, Training
from mmpkd.config.teachers import TabularTeacher, Teacher, TextTeacher
from mmpkd.design import CONTROL, CONTROLS, split_cell

MAIN = "main"  # a domain's own teacher, beside its variants
SIDE = re.compile(r"\b(left|right|laterality)\b", re.IGNORECASE)
SHORT = reprlib.Repr()  # writes what was got, in a message
SHORT.maxlevel, SHORT.maxstring, SHORT.maxother = 1, 80, 80
MOST_LINES = 20  # mistakes that a message names
DATA_SETS = Path(__file__).parent.parent / "cohorts" / "datasets"


Name = Annotated[str, Field(pattern=r"^\w+$")]  # becomes part of a path, and of a cell domain@cohort


class ConfigError(ValueError):
    """The configuration is wrong; the message says where and what to do."""


class Domain(Section):
    """One modality: the cohort that students learn from, its labels and its privileged teacher."""

    training: str = Field(description="cohort whose train and validate splits are learnt from")
    cohorts: list[str] = Field([], description="further cohorts of this modality, for evaluation alone")
    labels: list[str] = Field(min_length=1, description="what students and teacher predict")
    regions: list[str] = Field(
        [], description="further labels whose regions of interest are scored, though nobody predicts them"
    )
    problem: Literal["multi_label", "single_label"] = Field(
        "multi_label", description="single_label: exactly one of the labels is true of an image"
    )
    teacher: Teacher = Field(description="the privileged teacher")
    variants: dict[Name, dict[str, Any]] = Field(
        {}, description="further teachers by name, each the keys in which it differs; arms choose them with variant"
    )
    course: dict[str, Any] = Field(
        {}, description="keys of training in which this domain differs, such as epochs for a smaller data set"
    )
    breast: Breast | None = Field(None, description="mammograms: crop, side of the chest wall, removal of labels")

    @model_validator(mode="after")
    def _labels_are_names(self) -> "Domain":
        if len(set(self.known)) != len(self.known) or not all(label.strip() for label in self.known):
            raise ValueError("labels and regions: must be different, and none of them empty")
        return self

    @property
    def known(self) -> list[str]:
        """What is read of the domain's cohorts: the labels that are predicted, and those whose regions are scored."""
        return [*self.labels, *self.regions]

    @model_validator(mode="after")
    def _variants_are_teachers(self) -> "Domain":
        for name in self.variants:
            if name == MAIN:
                raise ValueError(f"variants: {MAIN} is the domain's own teacher; choose another name")
            self.teacher_of(name)
        return self

    def teacher_of(self, name: str) -> TextTeacher | TabularTeacher:
        """The domain's teacher (`main`) or a variant of it.

        Raises:
            ValueError: the variant's keys make no teacher.
        """
        if name == MAIN:
            return self.teacher
        settings = self.teacher.model_dump(mode="json")
        for key, value in self.variants[name].items():
            settings[key] = {**settings[key], **value} if isinstance(settings.get(key), dict) else value
        if settings["kind"] != self.teacher.kind:
            raise ValueError(
                f"variants.{name}.kind: a variant reads what the domain's teacher reads, {self.teacher.kind}"
            )
        try:
            return TypeAdapter(Teacher).validate_python(settings)
        except ValidationError as error:
            mistakes = "; ".join(_line(mistake, Teacher) for mistake in error.errors(include_url=False))
            raise ValueError(f"variants.{name}: {mistakes}") from None


class Study(Section):
    """A study: domains x arms x seeds, evaluated on every cohort with regions of interest of every domain."""

    study: str = Field(pattern=r"^[A-Za-z0-9_-]+$", description="name; results go to results/<study>/")
    seeds: list[int] = Field([0, 1, 2, 3, 4], min_length=1, description="one student per arm, domain and seed")
    seeds_together: bool = Field(
        False,
        description="one job trains all seeds of an arm: quicker for small students, but a failed job loses all",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: a GPU where there is one")
    gpus: int = Field(0, ge=0, description="GPUs that a job of training or attention export asks the scheduler for")
    # pydantic takes the names of the registry; a type checker needs them written out
    tables: list[Literal[TABLES]] = Field(  # type: ignore[valid-type]
        list(TABLES), description="tables that `all` makes"
    )
    figures: list[Literal[FIGURES]] = Field(  # type: ignore[valid-type]
        list(FIGURES), description="figures that `all` makes"
    )
    figure_columns: Literal[1, 2] = Field(
        2, description="columns of a page that figures fit: 1: 89 mm, 2: 183 mm, for many cohorts or arms"
    )
    report: bool = Field(True, description="make report.html")
    restricted_images_in_report: bool = Field(False, description="show pictures of restricted cohorts all the same")
    cohorts: dict[Name, Cohort] = Field(description="the data sets")
    domains: dict[Name, Domain] = Field(min_length=1, description="the modalities")
    imaging: Imaging = Field(Imaging(), description="from DICOM to the image store")
    student: StudentConfig = Field(StudentConfig(), description="the vision transformer")
    training: Training = Field(Training(), description="the training loop")
    arms: dict[Name, Arm] = Field(
        {
            "baseline": Arm(),
            "mmpkd": Arm(title="MMPKD", teacher="privileged", losses={"label": 1.0, "logit": 1.0}),
            "shuffled": Arm(title="shuffled teacher", teacher="shuffled", losses={"label": 1.0, "logit": 1.0}),
        },
        min_length=1,
        description="how students are taught",
    )
    design: Roles = Field(Roles(), description="the roles of the arms: tables, figures and claims compare by them")
    evaluation: Evaluation = Field(Evaluation(), description="scores and statistics")
    claims: dict[str, Claim] = Field({}, description="contrasts that tables/claims tests, Holm-adjusted together")

    @model_validator(mode="after")
    def _arms_have_roles(self) -> "Study":
        for name in self.arms:
            if name in CONTROLS:
                raise ValueError(f"arms.{name}: is the name of a control map; choose another")
        if CONTROL in self.domains:
            raise ValueError(f"domains.{CONTROL}: is the domain of the control maps; choose another name")
        roles = {role: arm for role, arm in self.design.model_dump().items() if arm is not None}
        for role, arm in roles.items():
            if arm not in self.arms:
                hint = "" if role == "reference" else ", or null for none"
                hint += did_you_mean(arm, self.arms)
                raise ValueError(f"design.{role}: unknown arm {arm!r}; known are {', '.join(self.arms)}{hint}")
        if len(set(roles.values())) < len(roles):
            raise ValueError(f"design: {', '.join(roles)} must be different arms")
        if self.design.shuffled is not None and not self.arms[self.design.shuffled].permuted:
            raise ValueError(f"design.shuffled: arms.{self.design.shuffled}.teacher must be shuffled")
        return self

    @model_validator(mode="after")
    def _names_agree(self) -> "Study":
        if len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0 or max(self.seeds) >= 2**32:
            raise ValueError("seeds: must be different, not negative and below 2**32")
        adapters = sorted(module.name for module in iter_modules([str(DATA_SETS)]))
        for name, cohort in self.cohorts.items():
            _known(f"cohorts.{name}.adapter", cohort.adapter, adapters)
        for name, domain in self.domains.items():
            for home in (domain.training, *domain.cohorts):
                _known(f"domains.{name}", home, self.cohorts)
        homes = [cohort for domain in self.domains.values() for cohort in (domain.training, *domain.cohorts)]
        if len(set(homes)) != len(homes):
            raise ValueError("domains: a cohort stands in two places")
        for name, arm in self.arms.items():
            self._arm_can_be_taught(f"arms.{name}", name, arm)
        for name, claim in self.claims.items():
            compared = claim.arm or self.design.primary
            if compared is None:
                raise ValueError(f"claims.{name}.arm: name an arm, because design.primary is null")
            arms = [compared, claim.reference or self.design.reference]
            for one in arms:
                _known(f"claims.{name}", one, self.arms)
            if claim.metric is not None:
                _known(f"claims.{name}.metric: evaluation.metrics", claim.metric, self.evaluation.scored)
            if claim.method is not None:
                _known(f"claims.{name}.method: evaluation.methods", claim.method, self.evaluation.methods)
            for cell in (*claim.cells, *claim.minus):
                trained, scored = split_cell(cell)
                _known(f"claims.{name}", trained, self.domains)
                _known(f"claims.{name}", scored, homes)
                for one in arms:
                    _known(f"claims.{name}: arm {one}, domain", trained, self.domains_of(one))
        return self

    @model_validator(mode="after")
    def _known_answers_are_planted(self) -> "Study":
        for name, claim in self.claims.items():
            for domain, cohort in map(split_cell, (*claim.cells, *claim.minus)):
                for source in (self.domains[domain].training, cohort):
                    if claim.known is not None and self.cohorts[source].phantom is None:
                        raise ValueError(
                            f"claims.{name}.known: no answer is planted in cohort {source}, which is real data; "
                            "remove the key or set it to null (only claims on phantoms alone have a known answer)"
                        )
        return self

    @model_validator(mode="after")
    def _labels_suit_the_training(self) -> "Study":
        for name, domain in self.domains.items():
            sided = [label for label in domain.labels if SIDE.search(label)]
            courses = [self.training_of(name, arm) for arm in (None, *self.arms_of(name))]
            if any(course.flip for course in courses) and sided:
                raise ValueError(f"training.flip mirrors images, and domains.{name}.labels names sides: {sided}")
            if self.seeds_together and any(course.processes > 1 for course in courses):
                raise ValueError("seeds_together: a job of several processes trains one student; set it to false")
            if domain.problem == "single_label" and len(domain.labels) < 2:
                raise ValueError(f"domains.{name}.problem: single_label needs two labels or more")
        return self

    def _arm_can_be_taught(self, where: str, name: str, arm: Arm) -> None:
        for domain in arm.domains or ():
            _known(f"{where}.domains", domain, self.domains)
        if arm.variant is not None:
            for domain in self.domains_of(name):
                _known(f"{where}.variant: domains.{domain}.variants", arm.variant, self.domains[domain].variants)
        if arm.teacher == "image":
            teacher = self.image_teacher_of(name)
            _known(f"{where}.image_teacher", teacher, self.arms)
            if self.arms[teacher].teacher == "image":
                raise ValueError(f"{where}.image_teacher: {teacher} is taught by a student itself")
            for domain in self.domains_of(name):
                _known(f"{where}.image_teacher: domain", domain, self.domains_of(teacher))

    @property
    def domain_of(self) -> dict[str, str]:
        """The domain of each cohort that is in use."""
        return {c: name for name, domain in self.domains.items() for c in (domain.training, *domain.cohorts)}

    def domains_of(self, arm: str) -> list[str]:
        """The domains in which an arm is trained."""
        chosen = self.arms[arm].domains
        return [name for name in self.domains if chosen is None or name in chosen]

    def arms_of(self, domain: str) -> list[str]:
        """The arms that are trained in a domain."""
        return [arm for arm in self.arms if domain in self.domains_of(arm)]

    def image_teacher_of(self, arm: str) -> str:
        """The arm whose students teach those of an arm with `teacher: image`."""
        return self.arms[arm].image_teacher or self.design.reference

    def training_of(self, domain: str, arm: str | None = None) -> Training:
        """The course of training in a domain, the keys of an arm on top of the domain's.

        Args:
            domain: of training.
            arm: whose own keys are on top; None for the domain's alone.

        Raises:
            ValueError: the domain's or the arm's own keys make none.
        """
        courses = {f"domains.{domain}": self.domains[domain].course}
        if arm is not None:
            courses[f"arms.{arm}"] = self.arms[arm].course
        training = self.training
        for place, course in courses.items():
            try:
                training = Training.model_validate({**training.model_dump(), **course})
            except ValidationError as error:
                mistakes = "; ".join(_line(mistake, Training) for mistake in error.errors(include_url=False))
                raise ValueError(f"{place}.course: {mistakes}") from None
        return training

    def twinned(self, domain: str) -> list[str]:
        """The phantoms of a domain whose scored images are rendered with and without a marker."""
        names = (self.domains[domain].training, *self.domains[domain].cohorts)
        phantoms = {name: self.cohorts[name].phantom for name in names if self.cohorts[name].images}
        return [name for name, phantom in phantoms.items() if phantom is not None and phantom.habit.marked > 0]

    @property
    def outputs(self) -> list[Output]:
        """The tables and figures that `all` makes; those of a phantom's marker and habit only where they are there."""
        return [output for output in chosen(self.tables, self.figures) if self.can_make(output)]

    def can_make(self, output: Output) -> bool:
        """Whether the study has what an output is about: a marker, or habits that differ."""
        there = {"twins": self.has_marker, "habits": self.varies_habit}
        return all(there.get(need, True) for need in output.needs)

    @property
    def has_marker(self) -> bool:
        """Whether a phantom has a marker."""
        return any(map(self.twinned, self.domains))

    @property
    def varies_habit(self) -> bool:
        """Whether students of one modality learn from phantoms that differ in their habit."""
        homes = [self.cohorts[domain.training] for name, domain in self.domains.items() if self.twinned(name)]
        habits = {(home.adapter, home.phantom.habit.model_dump_json()) for home in homes if home.phantom}
        return len(habits) > len({adapter for adapter, _ in habits})

    def takes(self, stage: str) -> bool:
        """Whether anything that the study makes takes this stage of the pipeline; the report shows scores."""
        return any(output.takes(stage) for output in self.outputs) or self.report

    @property
    def students(self) -> list[tuple[str, str, int]]:
        """Domain, arm and seed of every student."""
        return [(d, a, seed) for d in self.domains for a in self.arms_of(d) for seed in self.seeds]

    @property
    def teachers(self) -> dict[tuple[str, str], TextTeacher | TabularTeacher]:
        """The teachers of each domain: `main` and the variants by name."""
        return {
            (name, teacher): domain.teacher_of(teacher)
            for name, domain in self.domains.items()
            for teacher in (MAIN, *domain.variants)
        }


def _known(where: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        listed = f"{', '.join(known) or 'none'}{did_you_mean(name, known)}"
        raise ValueError(f"{where}: unknown name {name!r}; known are {listed}")


def load(config: Mapping[str, Any]) -> Study:
    """Validates a configuration as merged by Snakemake.

    An entry of `cohorts`, `domains`, `arms` or `claims` that an overlay sets to null is left out.

    Raises:
        ConfigError: with one line per mistake: its key, what is wrong and, where known, the names that are allowed.
    """
    config = dict(config)
    for group in ("cohorts", "domains", "arms", "claims"):
        if isinstance(config.get(group), Mapping):
            config[group] = {name: entry for name, entry in config[group].items() if not is_null(entry)}
    try:
        return Study.model_validate(config)
    except ValidationError as error:
        lines = [_line(mistake, Study) for mistake in error.errors(include_url=False)]
        if len(lines) > MOST_LINES:
            lines[MOST_LINES:] = [f"and {len(lines) - MOST_LINES} more"]
        raise ConfigError("the configuration is wrong:\n  " + "\n  ".join(lines)) from None


def _shown(value: Any, show: Callable[[Any], str]) -> str:
    try:
        return show(value)
    except ValueError:  # Python writes no number of more digits
        return "a number of more than 4,300 digits"


def _line(mistake: Mapping[str, Any], root: Any) -> str:
    """A mistake below the annotation `root`: its key, what is wrong, what to do."""
    where = ".".join(_shown(part, str) for part in mistake["loc"])
    if mistake["type"] == "extra_forbidden":
        advice = did_you_mean(_shown(mistake["loc"][-1], str), keys_beside(mistake["loc"], root))
        return f"{where}: unknown key; remove it or correct its spelling{advice}"
    message = mistake["msg"].removeprefix("Value error, ")
    got = "" if isinstance(mistake["input"], dict) else f" (got {_shown(mistake['input'], SHORT.repr)})"
    got += f"; {advice}" if (advice := hint(mistake)) else ""
    return f"{where}: {message}{got}" if where else message
