"""A long table of scores drawn from a crossed random-effects model, with a known gain."""

import numpy as np
import pandas as pd

from mmpkd.config.demo import DEMO
from mmpkd.design import Cell, Design
from mmpkd.evaluation.reliance import EFFECT, MARKED, MASS, TOP_DECILE, UNMARKED

LABELS = {
    "cxr": ["Atelectasis", "Cardiomegaly", "Consolidation", "Pleural Effusion", "Pneumothorax"],
    "mammography": ["malignant", "mass", "calcification"],
}
DOMAIN_OF = {
    "mimic_cxr": "cxr",
    "vindr_cxr": "cxr",
    "cbis_ddsm": "mammography",
    "vindr_mammo": "mammography",
}
STUDY = DEMO.model_dump(mode="json")
for domain, labels in LABELS.items():
    STUDY["domains"][domain]["labels"] = labels
DESIGN = Design.of(STUDY)
HOME, AWAY = (DESIGN.parse(f"cxr@{cohort}") for cohort in ("mimic_cxr", "vindr_cxr"))
METHODS = ("rollout", "last_layer")
METRICS = {  # level of a baseline in its own domain, and how a unit of pixel AUROC shows in the metric
    "pixel_auroc": (0.80, 1.0),
    "average_precision": (0.35, 1.5),
    "pointing_game": (0.50, 2.0),
    "mass_in_roi": (0.15, 0.6),
    "iou_equal_area": (0.25, 1.2),
}
CONTROLS = {"uniform": 0.50, "centre": 0.62, "edges": 0.56, "untrained": 0.52, "pretrained": 0.60}
WITHOUT_MARKER, AREA = 0.1, 0.04  # an absent finding's probability without the marker; the share of a map on it
COLUMNS = ["domain", "arm", "seed", "cohort", "patient_id", "image_id", "label", "method", "metric", "value"]


def design_of(domains: dict[str, dict], arms: dict[str, dict] = STUDY["arms"], **roles: str | None) -> Design:
    """The design of a study with these domains; labels and further cohorts may be left out."""
    whole = {name: {"cohorts": [], "labels": [], **domain} for name, domain in domains.items()}
    return Design.of({"domains": whole, "arms": arms, "design": {**STUDY["design"], **roles}})


def synthetic_scores(
    rng: np.random.Generator,
    gain: float = 0.04,
    seeds: int = 4,
    images: int = 80,
    gain_elsewhere: float = 0.0,
    shuffled_gain: float = 0.0,
    auroc_gain: float = 0.3,
    seed_sd: float = 0.01,
    patient_sd: float = 0.03,
    residual_sd: float = 0.03,
    controls: bool = True,
) -> pd.DataFrame:
    """The long table of 2 domains x 3 arms x `seeds` x 4 cohorts.

    Args:
        rng: the source of randomness.
        gain: gain of `mmpkd` over `baseline` in pixel AUROC, on the cohort a domain was trained on.
        seeds: students per arm and domain.
        images: images with ROI a cohort; as many again have none and serve classification alone.
        gain_elsewhere: gain of `mmpkd` in every other cell.
        shuffled_gain: gain of `shuffled` in every cell.
        auroc_gain: how much further apart, in standard deviations, `mmpkd` holds the classes' logits.
        seed_sd, patient_sd, residual_sd: standard deviations of an arm's scores among seeds, patients, and the rest.
        controls: whether the control rows are added.
    """
    cohorts = {name: _images(name, 2 * images, rng) for name in DOMAIN_OF}
    parts = []
    for domain, labels in LABELS.items():
        for cohort, table in cohorts.items():
            in_domain = DOMAIN_OF[cohort] == domain
            trained_here = cohort == {"cxr": "mimic_cxr", "mammography": "cbis_ddsm"}[domain]
            gains = {"baseline": 0.0, "mmpkd": gain if trained_here else gain_elsewhere, "shuffled": shuffled_gain}
            level = 0.0 if in_domain else -0.2
            difficulty = rng.normal(0, 0.05, len(table))
            for arm, arm_gain in gains.items():
                patient = rng.normal(0, patient_sd, table["patient"].max() + 1)[table["patient"]]
                for seed in range(seeds):
                    shift = level + difficulty + arm_gain + patient + rng.normal(0, seed_sd)
                    names = {"domain": domain, "arm": arm, "seed": seed, "cohort": cohort}
                    parts += _localization(table[:images], shift[:images], residual_sd, names, METHODS, rng)
                    if in_domain:
                        apart = 2.0 + (auroc_gain if arm == "mmpkd" else 0.0) + rng.normal(0, 0.05)
                        parts += _classification(table, labels, apart, names, rng)
    if controls:
        parts += [part for cohort, table in cohorts.items() for part in _controls(cohort, table[:images], seeds, rng)]
    return _assemble(parts, cohorts)


def with_reliance(
    scores: pd.DataFrame, effects: dict[tuple[Cell, str], float], rng: np.random.Generator, spread: float = 0.0
) -> pd.DataFrame:
    """Adds the rows of `mmpkd.evaluation.reliance`: every other image bears the marker.

    Args:
        scores: a long table with the cells and arms of `effects`.
        effects: the marker effect of an arm in a cell, the mean of its labels'. The share of the first method's map on
            the marker is `planted_mass`; of another method's map half as much is above the area.
        rng: the source of randomness.
        spread: standard deviation of the effect among seeds, and of the rest.
    """
    scores = scores.astype({name: str for name in COLUMNS if name not in ("seed", "value")})
    parts = [scores]
    for cohort in dict.fromkeys(cell.cohort for cell, _ in effects):
        images = scores.loc[scores["cohort"] == cohort, ["patient_id", "image_id"]].drop_duplicates("image_id")
        uniform = images.assign(domain="control", arm="uniform", seed=0, cohort=cohort, label="any", method="none")
        marked = (np.arange(len(images)) % 2 == 0).astype(float)
        values = {MARKED: marked, MASS: AREA, TOP_DECILE: AREA}
        parts += [uniform.assign(metric=metric, value=value) for metric, value in values.items()]
    for (cell, arm), effect in effects.items():
        own = scores[(scores["domain"] == cell.domain) & (scores["arm"] == arm) & (scores["cohort"] == cell.cohort)]
        images = own[["patient_id", "image_id"]].drop_duplicates("image_id")
        for seed in own["seed"].unique():
            part = images.assign(domain=cell.domain, arm=arm, seed=seed, cohort=cell.cohort)
            noise = rng.normal(0, spread) + rng.normal(0, spread, len(images))
            parts += _reliance(part, effect + noise, planted_mass(effect), LABELS[DOMAIN_OF.get(cell.cohort, "cxr")])
    table = pd.concat(parts, ignore_index=True)[COLUMNS]
    return table.astype(dict.fromkeys(("domain", "arm", "cohort", "method", "metric", "label"), "category"))


def planted_mass(effect: float) -> float:
    """The share of the first method's map on the marker, for an arm with that effect."""
    return AREA + 0.3 * effect


def _reliance(part: pd.DataFrame, effect: np.ndarray, mass: float, labels: list[str]) -> list[pd.DataFrame]:
    """A student's rows; the effects of labels lie about their mean."""
    parts = []
    for label, shift in zip(["any", *labels], [0.0, *np.linspace(-0.02, 0.02, len(labels))], strict=True):
        row = part.assign(label=label, method="none")
        parts += [row.assign(metric=EFFECT, value=effect + shift), row.assign(metric=UNMARKED, value=WITHOUT_MARKER)]
    for number, method in enumerate(METHODS, start=1):
        row, share = part.assign(label="any", method=method), AREA + (mass - AREA) / number
        parts += [row.assign(metric=MASS, value=share), row.assign(metric=TOP_DECILE, value=2 * share)]
    return parts


def _images(cohort: str, count: int, rng: np.random.Generator) -> pd.DataFrame:
    patient = np.sort(rng.integers(0, max(2 * count // 3, 2), count))
    patient = np.unique(patient, return_inverse=True)[1]
    patient = rng.permutation(patient.max() + 1)[patient]
    return pd.DataFrame(
        {
            "patient": patient,
            "patient_id": [f"{cohort}-p{number}" for number in patient],
            "image_id": [f"{cohort}-i{number}" for number in range(count)],
        }
    ).assign(first=rng.integers(0, 100, count), second=rng.integers(0, 100, count))


def _localization(table, shift, residual_sd, names, methods, rng) -> list[dict]:
    """Rows of every method, metric and label (any, the image's first, and its second where it differs)."""
    labels = np.array(LABELS[DOMAIN_OF[names["cohort"]]])
    first, second = labels[table["first"] % len(labels)], labels[table["second"] % len(labels)]
    label = np.stack([np.full(len(table), "any", dtype=labels.dtype), first, second])
    kept = np.stack([np.full(len(table), True), np.full(len(table), True), first != second]).ravel()
    parts = []
    for method in methods:
        for metric, (level, scale) in METRICS.items():
            noise = rng.normal(0, residual_sd, (3, len(table)))
            value = level + scale * (shift - (0.03 if method == "last_layer" else 0.0) + noise)
            part = {"row": np.tile(table.index, 3)[kept], "label": label.ravel()[kept], "value": value.ravel()[kept]}
            parts.append({**part, "method": method, "metric": metric, **names})
    return parts


def _classification(table, labels, apart, names, rng) -> list[dict]:
    parts = []
    for number, label in enumerate(labels):
        target = ((table["first"] + 13 * number) % 100 < 30).to_numpy(float)
        logit = apart * (target - 0.5) + rng.normal(0, 1, len(table))
        part = {"row": table.index.to_numpy(), "label": label, "method": "none", **names}
        parts += [{**part, "metric": "logit", "value": logit}, {**part, "metric": "target", "value": target}]
    return parts


def _controls(cohort, table, seeds, rng) -> list[dict]:
    parts = []
    for arm, level in CONTROLS.items():
        attention = arm in ("untrained", "pretrained")
        spread = 0.0 if arm == "uniform" else 0.05
        for seed in range(seeds if attention else 1):
            names = {"domain": "control", "arm": arm, "seed": seed, "cohort": cohort}
            shift = np.full(len(table), level - METRICS["pixel_auroc"][0])
            parts += _localization(table, shift, spread, names, METHODS if attention else ("none",), rng)
    return parts


def _assemble(parts: list[dict], cohorts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One table of all parts; names become categories, and rows become the identifiers of their cohort's images."""
    counts = [len(part["value"]) for part in parts]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in ("row", "value")}
    columns["seed"] = np.repeat([part["seed"] for part in parts], counts).astype(np.int32)
    for name in ("domain", "arm", "cohort", "method", "metric"):
        codes, categories = pd.factorize(np.array([part[name] for part in parts], dtype=object))
        columns[name] = pd.Categorical.from_codes(np.repeat(codes, counts), categories)
    label = np.concatenate([np.broadcast_to(part["label"], count) for part, count in zip(parts, counts, strict=True)])
    columns["label"] = pd.Categorical(label)
    images = pd.concat(cohorts, names=["cohort"])
    offset = dict(zip(cohorts, np.cumsum([0, *(len(table) for table in cohorts.values())]), strict=False))
    row = (
        columns.pop("row") + np.array([offset[name] for name in columns["cohort"].categories])[columns["cohort"].codes]
    )
    for name in ("patient_id", "image_id"):
        codes, categories = pd.factorize(images[name])
        columns[name] = pd.Categorical.from_codes(codes[row], categories)
    scores = pd.DataFrame(columns)[COLUMNS]
    return scores.astype({"value": "float32"})
