"""A study whose figures are drawn from made-up scores, and what can be read off a figure."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.text import Text

from mmpkd.cohorts.tables import CohortTables
from mmpkd.config.evaluation import Claim, Evaluation
from mmpkd.config.students import Arm, Roles
from mmpkd.outputs import figure as style
from mmpkd.outputs import figure_attention_examples
from tests.synthetic import DESIGN, DOMAIN_OF, LABELS

EVALUATION = Evaluation()
DOMAINS = {
    "cxr": {"training": "mimic_cxr", "cohorts": ["vindr_cxr"], "labels": LABELS["cxr"]},
    "mammography": {"training": "cbis_ddsm", "cohorts": ["vindr_mammo"], "labels": LABELS["mammography"]},
}
CLAIMS = {
    "in_domain": Claim(title="The text teacher improves localisation in chest radiographs", cells=["cxr@mimic_cxr"]),
    "elsewhere": Claim(title="No gain in the other modality", cells=["cxr@cbis_ddsm"], expect="no_gain"),
    "difference": Claim(title="Larger at home than away", cells=["cxr@mimic_cxr"], minus=["cxr@cbis_ddsm"]),
}
ARMS = {
    "baseline": Arm().model_dump(),
    "mmpkd": Arm(title="MMPKD", teacher="privileged", losses={"label": 1.0, "logit": 1.0}).model_dump(),
    "shuffled": Arm(
        title="shuffled teacher", teacher="shuffled", losses={"label": 1.0, "logit": 1.0, "embedding_mse": 0.5}
    ).model_dump(),
}
TEACHERS = {"cxr": {"kind": "text"}, "mammography": {"kind": "tabular", "model": "gradient_boosting"}}
STUDY = {
    "domains": {name: {**facts, "teacher": TEACHERS[name]} for name, facts in DOMAINS.items()},
    "arms": ARMS,
    "design": Roles().model_dump(),
    "imaging": {"size": 64},
}
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
MORE_ARMS = (
    *("relational_distance", "relational_angle", "embedding_cosine", "embedding_mse", "soft_labels", "image_teacher"),
    *("without_findings", "without_impression", "in_sample_targets", "half_the_reports", "label_smoothing"),
)
CROWDED_ARMS = MORE_ARMS[:5]  # beside the usual three: more than fit in one line


def make_history(rng, distils: bool) -> pd.DataFrame:
    auroc = rng.random(4)
    history = pd.DataFrame({"epoch": range(1, 5), "loss": 1.0, "label_loss": rng.random(4), "learning_rate": 1e-3})
    if distils:
        history["logit_loss"] = rng.random(4)
    return history.assign(validation_auroc=auroc, selected=auroc == auroc.max())


def make_cohort(name: str, images: int = 12) -> CohortTables:
    numbers = np.arange(images)
    table = pd.DataFrame(
        {
            "image_id": [f"{name}-{k}" for k in numbers],
            "patient_id": (numbers // 2).astype(str),
            "study_id": numbers.astype(str),
            "split": np.array(["train", "validate", "test"])[numbers // 2 % 3],
            "path": "image.dcm",
            "view": "PA",
            "laterality": "",
            "rows": 64,
            "columns": 64,
        }
    )
    values = np.where(numbers % 4 == 0, 1.0, 0.0)
    values[-1] = np.nan
    labels = pd.DataFrame({"image_id": table["image_id"], **dict.fromkeys(LABELS[DOMAIN_OF[name]], values)})
    return CohortTables("/nowhere", table, labels)


class Store:
    """Random pictures, in place of an image store."""

    def __init__(self, image_ids):
        self.image_ids = list(image_ids)

    def positions(self, image_ids):
        return np.array([self.image_ids.index(name) for name in image_ids])

    def pixels(self, positions):
        return np.random.default_rng(3).integers(0, 256, (len(positions), 32, 32)).astype(np.uint8)


def make_examples(scores: pd.DataFrame) -> list[figure_attention_examples.Example]:
    chosen = figure_attention_examples.select_examples(scores, EVALUATION, DESIGN)
    rng = np.random.default_rng(4)
    homes = {domain: facts["training"] for domain, facts in DOMAINS.items()}
    ids = {cohort: scores.loc[scores["cohort"] == cohort, "image_id"].unique().astype(str) for cohort in homes.values()}
    masks = np.zeros((100, 32, 32), dtype=np.uint8)
    masks[:, 20:, 20:] = 1  # to the border
    regions = {
        name: (pd.DataFrame({"image_id": names, "label": "mass"}), masks[: len(names)]) for name, names in ids.items()
    }
    exports = {
        (domain, arm, home): [{"image_id": ids[home], "rollout": rng.random((len(ids[home]), 4, 4))} for _ in range(3)]
        for domain, home in homes.items()
        for arm in ("baseline", "mmpkd")
    }
    stores = {name: Store(names) for name, names in ids.items()}
    return figure_attention_examples.assemble(chosen, stores, regions, exports, "rollout")


def shown_texts(figure) -> list[tuple[str, object]]:
    """Every visible text with its extent in pixels, as drawn."""
    with mpl.rc_context(style.STYLE):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        texts = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
        # ticks beyond the limits of an axis exist and are not drawn
        hidden = set()
        for axes in figure.findobj(mpl.axes.Axes):
            for axis in (axes.xaxis, axes.yaxis):
                drawn = axis._update_ticks() if axes.axison else []
                ticks = [tick for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()) if tick not in drawn]
                hidden |= {id(label) for tick in ticks for label in (tick.label1, tick.label2)}
        return [(text.get_text(), text.get_window_extent(renderer)) for text in texts if id(text) not in hidden]


def check_texts(figure) -> list[str]:
    """All text is inside the figure, apart, and at least 6 pt; it is returned."""
    texts = shown_texts(figure)
    assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text().strip()) >= 6
    width, height = figure.get_size_inches() * figure.dpi
    assert len(texts) > 3
    for text, box in texts:
        inside = box.x0 > -0.5 and box.y0 > -0.5 and box.x1 < width + 0.5 and box.y1 < height + 0.5
        assert inside, f"{text!r} leaves the figure"
    words, boxes = [text for text, _ in texts], np.array([box.padded(-0.4).extents for _, box in texts])
    low, high = boxes[:, :2], boxes[:, 2:]
    meet = ((low[:, None] <= high) & (low <= high[:, None])).all(axis=2)
    shared = [(words[one], words[other]) for one, other in np.argwhere(np.triu(meet, 1))]
    assert not shared, f"overlapping: {shared}"
    return words


def markers_of(axes, colour: str, horizontal: bool) -> np.ndarray:
    """Positions of all markers of a colour, along the axis of values."""
    lines = [
        line
        for line in axes.lines
        if line.get_marker() not in ("None", "") and to_hex(line.get_color()) == colour.lower()
    ]
    return np.concatenate([line.get_xdata() if horizontal else line.get_ydata() for line in lines]).astype(float)


def pixel_auroc(scores, domain, arm, cohort, method="rollout"):
    rows = scores[(scores["metric"] == "pixel_auroc") & (scores["label"] == "any") & (scores["method"] == method)]
    return rows[(rows["domain"] == domain) & (rows["arm"] == arm) & (rows["cohort"] == cohort)]
