"""The whole study; its defaults are the `demo` on phantom cohorts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from mmpkd.config.base import Section
from mmpkd.config.cohorts import Cohort, Phantom
from mmpkd.config.evaluation import Claim, Evaluation
from mmpkd.config.imaging import Breast, Imaging
from mmpkd.config.students import Arm, Student, Training
from mmpkd.config.teachers import TabularTeacher, Teacher, TextTeacher

TABLES = ("cohorts", "teachers", "classification", "localization", "cross_domain", "claims", "runtime")
FIGURES = (
    "method",
    "cohorts",
    "training",
    "classification",
    "attention_examples",
    "localization",
    "cross_domain",
    "claims",
)
ADAPTERS = Path(__file__).parent.parent / "cohorts" / "adapters"


class ConfigError(ValueError):
    """The configuration is wrong; the message says where and what to do."""


class Domain(Section):
    """One modality: the cohort that students learn from, its labels and its privileged teacher."""

    training: str = Field(description="cohort whose train and validate splits are learnt from")
    cohorts: list[str] = Field([], description="further cohorts of this modality, for evaluation alone")
    labels: list[str] = Field(min_length=1, description="what students and teacher predict")
    teacher: Teacher = Field(description="the privileged teacher")
    breast: Breast | None = Field(None, description="mammograms: crop, side of the chest wall, removal of labels")


class Study(Section):
    """A study: domains x arms x seeds, evaluated on every cohort with regions of interest of every domain."""

    study: str = Field("demo", pattern=r"^[A-Za-z0-9_-]+$", description="name; results go to results/<study>/")
    seeds: list[int] = Field([0, 1, 2, 3], min_length=1, description="one student an arm, domain and seed")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: a GPU where there is one")
    gpus: int = Field(0, ge=0, description="GPUs that a job of training or attention export asks the scheduler for")
    tables: list[Literal[TABLES]] = Field(list(TABLES), description="tables that `all` makes")
    figures: list[Literal[FIGURES]] = Field(list(FIGURES), description="figures that `all` makes")
    report: bool = Field(True, description="make report.html")
    restricted_images_in_report: bool = Field(False, description="show pictures of restricted cohorts all the same")
    cohorts: dict[str, Cohort] = Field(
        {
            "mimic_cxr": Cohort(adapter="mimic_cxr", phantom=Phantom(patients=1500, seed=1)),
            "vindr_cxr": Cohort(adapter="vindr_cxr", phantom=Phantom(patients=300, seed=2)),
            "cbis_ddsm": Cohort(adapter="cbis_ddsm", phantom=Phantom(patients=1000, seed=3, label_noise=0.15)),
            "vindr_mammo": Cohort(adapter="vindr_mammo", phantom=Phantom(patients=150, seed=4)),
        },
        description="the data sets",
    )
    domains: dict[str, Domain] = Field(
        {
            "cxr": Domain(
                training="mimic_cxr",
                cohorts=["vindr_cxr"],
                labels=["Atelectasis", "Cardiomegaly", "Consolidation", "Pleural Effusion", "Pneumothorax"],
                teacher=TextTeacher(),
            ),
            "mammography": Domain(
                training="cbis_ddsm",
                cohorts=["vindr_mammo"],
                labels=["malignant", "mass", "calcification"],
                teacher=TabularTeacher(),
            ),
        },
        min_length=1,
        description="the modalities",
    )
    imaging: Imaging = Field(Imaging(), description="from DICOM to the image store")
    student: Student = Field(Student(), description="the vision transformer")
    training: Training = Field(Training(), description="the training loop")
    arms: dict[str, Arm] = Field(
        {
            "baseline": Arm(),
            "mmpkd": Arm(teacher="privileged", logits_weight=1.0),
            "shuffled": Arm(teacher="shuffled", logits_weight=1.0),
        },
        min_length=1,
        description="how students are taught",
    )
    evaluation: Evaluation = Field(Evaluation(), description="scores and statistics")
    claims: dict[str, Claim] = Field(
        {
            "in_domain_cxr": Claim(
                title="The text teacher improves localisation in chest radiographs", cells=["cxr@mimic_cxr"]
            ),
            "in_domain_mammography": Claim(
                title="The tabular teacher improves localisation in mammograms", cells=["mammography@cbis_ddsm"]
            ),
            "other_data_set": Claim(
                title="The gain carries over to another data set of the same modality",
                cells=["cxr@vindr_cxr", "mammography@vindr_mammo"],
            ),
            "other_modality": Claim(
                title="No gain in the other modality",
                cells=["cxr@cbis_ddsm", "cxr@vindr_mammo", "mammography@mimic_cxr", "mammography@vindr_cxr"],
                expect="no_gain",
            ),
            "interaction": Claim(
                title="The gain is larger in the domain of the teacher than in the other",
                cells=["cxr@mimic_cxr", "mammography@cbis_ddsm"],
                minus=["cxr@cbis_ddsm", "mammography@mimic_cxr"],
            ),
        },
        description="contrasts that tables/claims tests, Holm-adjusted together",
    )

    @model_validator(mode="after")
    def _names_agree(self) -> "Study":
        if len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise ValueError("seeds: must be different and not negative")
        adapters = sorted(path.stem for path in ADAPTERS.glob("[a-z]*.py"))
        for name, cohort in self.cohorts.items():
            _known(f"cohorts.{name}.adapter", cohort.adapter, adapters)
        for name, domain in self.domains.items():
            for cohort in (domain.training, *domain.cohorts):
                _known(f"domains.{name}", cohort, self.cohorts)
        homes = [cohort for domain in self.domains.values() for cohort in (domain.training, *domain.cohorts)]
        if len(set(homes)) != len(homes):
            raise ValueError("domains: a cohort stands in two places")
        for name, claim in self.claims.items():
            for arm in (claim.arm, claim.reference):
                _known(f"claims.{name}", arm, self.arms)
            for cell in (*claim.cells, *claim.minus):
                domain, cohort = cell.split("@")
                _known(f"claims.{name}", domain, self.domains)
                _known(f"claims.{name}", cohort, homes)
        return self

    @property
    def domain_of(self) -> dict[str, str]:
        """The domain of each cohort that is in use."""
        return {c: name for name, domain in self.domains.items() for c in (domain.training, *domain.cohorts)}


def _known(where: str, name: str, known) -> None:
    if name not in known:
        raise ValueError(f"{where}: unknown name {name!r}; known are {', '.join(known) or 'none'}")


def load(config: Mapping[str, Any]) -> Study:
    """Validates a configuration as merged by Snakemake.

    An entry of `cohorts`, `domains`, `arms` or `claims` that an overlay sets to null is left out.

    Raises:
        ConfigError: with one line a mistake: its key, what is wrong and, where known, the names that are allowed.
    """
    config = dict(config)
    for group in ("cohorts", "domains", "arms", "claims"):
        if isinstance(config.get(group), Mapping):
            config[group] = {name: entry for name, entry in config[group].items() if entry is not None}
    try:
        return Study.model_validate(config)
    except ValidationError as error:
        lines = [_line(mistake) for mistake in error.errors(include_url=False)]
        raise ConfigError("the configuration is wrong:\n  " + "\n  ".join(lines)) from None


def _line(mistake: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in mistake["loc"])
    if mistake["type"] == "extra_forbidden":
        return f"{where}: unknown key; remove it or correct its spelling"
    message = mistake["msg"].removeprefix("Value error, ")
    got = "" if isinstance(mistake["input"], dict) else f" (got {mistake['input']!r})"
    return f"{where}: {message}{got}" if where else message
