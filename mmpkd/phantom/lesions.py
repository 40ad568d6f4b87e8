"""The generative model of the phantom's breast lesions: what a radiologist would write, and what the biopsy says.

A lesion is drawn in three steps:

1. Descriptors. Mass: shape, then margins given whether the shape is regular. Calcification: type, then distribution
   given whether the type is typically benign. Words and rough frequencies are those of CBIS-DDSM.
2. Risk of malignancy = sigmoid(GAIN * (weight of the form + weight of the pattern) + offset of the kind), where a
   compound such as ILL_DEFINED-SPICULATED weighs the mean of its words. Descriptors are what is drawn in the image, so
   the risk can be seen; nothing else about a lesion depends on its pathology but the assessment.
3. Pathology: malignant with probability (1 - label_noise) * [risk > 0.5] + label_noise * risk. The assessment then
   follows the pathology (with CBIS-DDSM's own frequencies), which is the known leak of that column.

The weights order the words as the BI-RADS atlas does; their sizes are a choice of this project, not an estimate.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["mass", "calcification"]
Words = tuple[str, ...]

# word: (how often, weight in the risk)
MASS_SHAPES = {
    "OVAL": (0.26, -1.2),
    "LOBULATED": (0.22, -0.6),
    "ROUND": (0.12, -0.8),
    "IRREGULAR": (0.28, 1.1),
    "ARCHITECTURAL_DISTORTION": (0.08, 1.0),
    "LYMPH_NODE": (0.02, -2.4),
    "FOCAL_ASYMMETRIC_DENSITY": (0.01, -0.4),
    "ASYMMETRIC_BREAST_TISSUE": (0.01, -0.8),
}
MASS_MARGINS_REGULAR = {
    "CIRCUMSCRIBED": (0.48, -1.6),
    "OBSCURED": (0.20, -0.6),
    "ILL_DEFINED": (0.14, 0.4),
    "MICROLOBULATED": (0.10, 0.7),
    "SPICULATED": (0.08, 2.0),
}
MASS_MARGINS_IRREGULAR = {
    "CIRCUMSCRIBED": (0.06, -1.6),
    "OBSCURED": (0.12, -0.6),
    "ILL_DEFINED": (0.34, 0.4),
    "MICROLOBULATED": (0.10, 0.7),
    "SPICULATED": (0.38, 2.0),
}
CALC_TYPES = {
    "PLEOMORPHIC": (0.36, 1.1),
    "FINE_LINEAR_BRANCHING": (0.12, 2.0),
    "AMORPHOUS": (0.12, 0.2),
    "PUNCTATE": (0.12, -0.6),
    "COARSE": (0.08, -2.0),
    "ROUND_AND_REGULAR": (0.06, -1.6),
    "LUCENT_CENTER": (0.08, -2.0),
    "VASCULAR": (0.06, -2.2),
}
CALC_DISTRIBUTIONS_SUSPICIOUS = {
    "CLUSTERED": (0.60, 0.0),
    "LINEAR": (0.15, 0.9),
    "SEGMENTAL": (0.15, 0.7),
    "REGIONAL": (0.10, -0.8),
}
CALC_DISTRIBUTIONS_BENIGN = {
    "CLUSTERED": (0.45, 0.0),
    "REGIONAL": (0.35, -0.8),
    "DIFFUSELY_SCATTERED": (0.20, -1.2),
}
REGULAR_SHAPES = {"OVAL", "LOBULATED", "ROUND", "LYMPH_NODE"}
ASYMMETRIES = {"FOCAL_ASYMMETRIC_DENSITY", "ASYMMETRIC_BREAST_TISSUE"}
BENIGN_TYPES = {"COARSE", "ROUND_AND_REGULAR", "LUCENT_CENTER", "VASCULAR", "PUNCTATE"}
OFFSET = {"mass": 0.1, "calcification": -0.6}
GAIN = 1.2
COMPOUND_SHARE = 0.08  # lesions for whose pattern a second word is drawn; dropped if it is the first again
WITHOUT_CALLBACK = 0.5  # share of the clearly benign (risk below 0.2) that were not called back

# assessment (BI-RADS): frequency, by pathology, as counted in the 3,568 rows of CBIS-DDSM
ASSESSMENTS = {
    "MALIGNANT": {0: 59, 1: 3, 2: 2, 3: 102, 4: 731, 5: 560},
    "BENIGN": {0: 179, 2: 49, 3: 303, 4: 887, 5: 11},
    "BENIGN_WITHOUT_CALLBACK": {2: 593, 3: 72, 4: 15, 5: 2},
}


@dataclass(frozen=True)
class Lesion:
    """One lesion of a breast, the same in both of its views.

    `form` is a mass's shape or a calcification's type, `pattern` the words of its margins or distribution.
    `contrast` (0 to 1) scales what is drawn; `size` (0 to 1) goes from the smallest to the largest; `depth` (0 to 1)
    runs from the chest wall to the skin; `upper` says on which side of the nipple it lies.
    """

    kind: Kind
    form: str
    pattern: Words
    risk: float
    pathology: str
    assessment: int
    subtlety: int
    contrast: float
    size: float
    depth: float
    upper: bool

    @property
    def malignant(self) -> bool:
        """Whether the pathology is MALIGNANT."""
        return self.pathology == "MALIGNANT"


def draw_lesion(rng: np.random.Generator, kind: Kind, density: int, label_noise: float, form: str = "") -> Lesion:
    """Draws a lesion in a breast.

    Args:
        rng: the source of randomness.
        kind: mass or calcification.
        density: of the breast, 1 to 4; dense tissue hides: less contrast.
        label_noise: 0 to 1, how far chance decides what is malignant, see this module's head.
        form: asks for a given shape or type.
    """
    forms = MASS_SHAPES if kind == "mass" else CALC_TYPES
    form = form or _word(rng, forms)
    if form in ASYMMETRIES:
        patterns = {"ILL_DEFINED": MASS_MARGINS_REGULAR["ILL_DEFINED"]}
    elif kind == "mass":
        patterns = MASS_MARGINS_REGULAR if form in REGULAR_SHAPES else MASS_MARGINS_IRREGULAR
    else:
        patterns = CALC_DISTRIBUTIONS_BENIGN if form in BENIGN_TYPES else CALC_DISTRIBUTIONS_SUSPICIOUS
    words = _pattern(rng, patterns)
    weight = forms[form][1] + float(np.mean([patterns[word][1] for word in words]))
    risk = float(1 / (1 + np.exp(-(GAIN * weight + OFFSET[kind]))))
    malignant = rng.random() < (1 - label_noise) * (risk > 0.5) + label_noise * risk
    pathology = "MALIGNANT" if malignant else "BENIGN"
    if rng.random() < WITHOUT_CALLBACK and not malignant and risk < 0.2:
        pathology = "BENIGN_WITHOUT_CALLBACK"
    contrast = float(np.clip(rng.beta(3.5, 1.2) - 0.05 * (density - 1), 0.05, 1))
    return Lesion(
        kind=kind,
        form=form,
        pattern=words,
        risk=risk,
        pathology=pathology,
        assessment=_assessment(rng, pathology),
        subtlety=int(np.clip(np.ceil(5 * contrast + rng.normal(0, 0.4)), 1, 5)),
        contrast=contrast,
        size=float(rng.beta(1.6, 2.0)),
        depth=float(rng.uniform(0.05, 0.75)),
        upper=bool(rng.random() < 0.6),
    )


def _word(rng: np.random.Generator, words: dict[str, tuple[float, float]]) -> str:
    shares = np.array([share for share, _ in words.values()])
    return list(words)[rng.choice(len(words), p=shares / shares.sum())]


def _pattern(rng: np.random.Generator, words: dict[str, tuple[float, float]]) -> Words:
    first, second = _word(rng, words), _word(rng, words)
    return (first, second) if rng.random() < COMPOUND_SHARE and second != first else (first,)


def _assessment(rng: np.random.Generator, pathology: str) -> int:
    counts = ASSESSMENTS[pathology]
    shares = np.array(list(counts.values()), dtype=float)
    return int(rng.choice(list(counts), p=shares / shares.sum()))
