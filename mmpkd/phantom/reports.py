"""Writes the reports of the phantom chest radiographs and the labels that a rule-based labeller would take from them.

A report states what was drawn, in varied words, and nothing else: findings with side, size and change, negations of
what is absent, devices and other harmless shadows. Sentences are composed of parts, so that several hundred differ.
Label noise lies in the labels, not in the facts: of a mild finding the wording is often indirect or hedged, and the
labeller misses it more often, while the sentence still shows a careful reader the finding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

import numpy as np

from mmpkd.cohorts.label_policy import CHEXPERT_LABELS
from mmpkd.phantom.chest import LABELS, Anatomy, Study
from mmpkd.phantom.chest_findings import Finding

SIZES = (
    ("small", "mild", "minor", "minimal", "slight"),
    ("moderate", "moderate-sized", "medium-sized"),
    ("large", "severe", "extensive", "marked"),
)  # by thirds of the severity
ADVERBS = {
    "small": "slightly",
    "mild": "mildly",
    "minor": "slightly",
    "minimal": "minimally",
    "slight": "slightly",
    "moderate": "moderately",
    "moderate-sized": "moderately",
    "medium-sized": "moderately",
    "large": "markedly",
    "severe": "severely",
    "extensive": "severely",
    "marked": "markedly",
}
NAMES = {
    "Atelectasis": ("{side} basilar atelectasis", "{side} lower lobe atelectasis", "plate-like {side} atelectasis"),
    "Cardiomegaly": ("cardiomegaly", "enlargement of the cardiac silhouette", "cardiac enlargement"),
    "Consolidation": ("{side} {zone} consolidation", "{side} {zone} airspace consolidation"),
    "Pleural Effusion": ("{side} pleural effusion", "{side}-sided pleural effusion"),
    "Pneumothorax": ("{side} pneumothorax", "{side} apical pneumothorax", "{side}-sided pneumothorax"),
}
PLAIN = (
    "There is {a_size} {name}.",
    "{A_size} {name} is present.",
    "{A_size} {name} is seen.",
    "{A_size} {name} is noted.",
    "Frontal view shows {a_size} {name}.",
    "Findings are consistent with {a_size} {name}.",
)
HEDGED = (
    "Possible {size} {name}.",
    "There may be {a_size} {name}.",
    "{A_size} {name} cannot be excluded.",
    "Findings raise the possibility of {a_size} {name}.",
    "Suspected {size} {name}.",
    "Appearance is suggestive of {size} {name}, although not definite.",
)
INDIRECT = {
    "Atelectasis": (
        "{Size} linear opacity at the {side} base likely reflects volume loss.",
        "{Size} streaky {side} basilar opacity.",
        "Band-like density at the {side} lung base.",
    ),
    "Cardiomegaly": (
        "The heart is {size_ly} enlarged.",
        "Cardiac size is above the upper limits of normal.",
        "The cardiothoracic ratio is {size_ly} increased.",
    ),
    "Consolidation": (
        "{Size} patchy opacity in the {side} {zone}.",
        "Ill-defined density projecting over the {side} {zone}.",
        "{Size} hazy focal opacity of the {side} {zone}.",
    ),
    "Pleural Effusion": (
        "{Size} blunting of the {side} costophrenic angle.",
        "The {side} costophrenic sulcus is not sharp.",
        "Trace fluid layers in the {side} costophrenic angle.",
    ),
    "Pneumothorax": (
        "A thin pleural line is visible at the {side} apex.",
        "{Size} lucency without lung markings along the {side} lateral chest wall.",
        "The {side} visceral pleura is separated from the chest wall.",
    ),
}
CHANGES = {
    "new": ("This is new since the prior study.", "New compared with the prior examination.", "Not seen previously."),
    "larger": ("This has increased in the interval.", "Larger than on the prior study.", "Worse since prior."),
    "smaller": ("This has decreased in the interval.", "Smaller than on the prior study.", "Improved since prior."),
    "unchanged": ("Unchanged from the prior study.", "This is stable.", "Similar to the prior examination."),
}
RESOLVED = ("Previously seen {name} has resolved.", "{Name} is no longer seen.", "Interval resolution of {name}.")
ABSENT = {
    "Atelectasis": ("atelectasis", "volume loss"),
    "Consolidation": ("focal consolidation", "consolidation", "airspace consolidation"),
    "Pleural Effusion": ("pleural effusion", "effusion"),
    "Pneumothorax": ("pneumothorax", "evidence of pneumothorax"),
}
NO_CARDIOMEGALY = (
    "The heart is normal in size.",
    "Heart size is within normal limits.",
    "The cardiac silhouette is normal.",
    "There is no cardiomegaly.",
    "Cardiac size is normal.",
)
NEGATIONS = (
    "No {list}.",
    "There is no {list}.",
    "No {list} is seen.",
    "The study is negative for {list}.",
    "No evidence of {list}.",
)
HARMLESS = {
    "breasts": ("Haziness over both bases is due to breast tissue.", "Breast shadows overlie the bases."),
    "nipples": ("Rounded density at the lung base is a nipple shadow.", "A nipple shadow is noted."),
    "skin fold": ("A linear density over the {side} chest is a skin fold.", "Skin fold projects over the {side} lung."),
    "granuloma": ("Calcified granuloma in the {side} lung.", "Punctate calcification in the {side} lung is benign."),
    "gastric bubble": ("The gastric bubble is seen below the left hemidiaphragm.",),
    "clothing": ("A fold of clothing overlies the {side} upper chest.",),
    "leads": ("ECG leads overlie the chest.", "Monitoring leads are in place.", "Overlying monitoring wires."),
    "tube": ("Support tube or line in standard position.", "Indwelling tube or line is noted."),
}
MARKER_REMARK = "A letter marker was placed on the film."
CLEAR = ("The lungs are clear.", "Lungs are well expanded and clear.", "Clear lungs.")
NORMAL = ("No acute cardiopulmonary process.", "Normal chest radiograph.", "No acute intrathoracic abnormality.")
QUESTIONS = ("Evaluate for pneumonia.", "Assess for effusion.", "Rule out pneumothorax.", "Interval change?", "Chest?")


@dataclass(frozen=True)
class Report:
    """A report's text, its findings and impression as sentences, and what a labeller could take from it."""

    text: str
    findings: str
    impression: str
    hedged: frozenset[str]
    negated: frozenset[str]
    devices: bool


def write_report(
    rng: np.random.Generator, anatomy: Anatomy, study: Study, lateral: bool, noise: float, remark: str = ""
) -> Report:
    """The report of one study, in the layout of MIMIC-CXR's text files.

    Seven reports in ten have findings and impression, the others one of the two, or no headings at all.

    Args:
        rng: the source of randomness.
        anatomy: the patient.
        study: what is reported.
        lateral: whether there is a lateral view.
        noise: 0 to 1, the readiness to word a mild finding indirectly or with a hedge.
        remark: a sentence that ends both findings and impression.
    """
    absent = [label for label in LABELS if label not in study.findings]
    negated = frozenset(label for label in absent if rng.random() < 0.75)
    doubts = {label: rng.random() / max(1 - finding.severity, 1e-6) for label, finding in study.findings.items()}
    hedged = frozenset(label for label, doubt in doubts.items() if doubt < 0.8 * noise)
    devices = [name for name in ("leads", "tube") if name in study.distractors]
    findings = _findings_section(rng, study, hedged, negated, noise)
    impression = _impression_section(rng, study, hedged, negated, noise)
    if remark:
        findings.append(remark)
        impression.append(remark)
    kind = rng.choice(["both", "findings", "impression", "plain"], p=[0.7, 0.12, 0.12, 0.06])
    head = _header(rng, anatomy, study, lateral)
    if kind == "plain":
        text = " FINAL REPORT\n" + _paragraph(" ".join([*findings, *impression]))
    else:
        text = " " * 33 + "FINAL REPORT\n" + head
        text += _section("FINDINGS", findings) if kind in ("both", "findings") else ""
        text += _section("IMPRESSION", impression) if kind in ("both", "impression") else ""
    sentences = " ".join(findings), " ".join(impression)
    if kind == "impression":  # which has neither negations nor devices
        return Report(text, *sentences, hedged, frozenset(), False)
    return Report(text, *sentences, hedged, negated, bool(devices))


def labeller(rng: np.random.Generator, study: Study, report: Report, noise: float) -> dict[str, float]:
    """CheXpert labels of a study.

    Without noise a drawn finding is 1, a negated one 0 and any other NaN. With noise a finding of severity s is missed
    with probability noise (1.15 - s), mostly left blank; a hedged one is -1 in three of four cases; and an absent one
    is called in noise / 14 of the cases, as rules do that misread a negation or an earlier study.

    Args:
        rng: the source of randomness.
        study: what was drawn.
        report: what was written of it.
        noise: 0 to 1.

    Returns:
        1, 0, -1 (uncertain) or NaN (not mentioned) for every label.
    """
    labels = dict.fromkeys(CHEXPERT_LABELS, np.nan)
    for label in LABELS:
        chance = rng.random(3)
        if label in study.findings:
            missed = chance[0] < noise * (1.15 - study.findings[label].severity)
            unsure = label in report.hedged and chance[1] < 0.75
            labels[label] = (np.nan if chance[2] < 0.7 else 0.0) if missed else -1.0 if unsure else 1.0
        elif chance[0] < noise / 14:
            labels[label] = 1.0
        elif label in report.negated:
            labels[label] = 0.0
    if not any(labels[label] in (1.0, -1.0) for label in LABELS):
        labels["No Finding"] = 1.0
    if report.devices:
        labels["Support Devices"] = 1.0
    return labels


def phrase(rng: np.random.Generator, finding: Finding) -> str:
    """A short phrase for one finding, as MS-CXR pairs with a box.

    Args:
        rng: chooses the words.
        finding: that is named.
    """
    name = _pick(rng, NAMES[finding.label]).format(side=finding.side, zone=_zone(finding))
    return f"{_size(rng, finding.severity)} {name}"


def _findings_section(
    rng: np.random.Generator, study: Study, hedged: frozenset[str], negated: frozenset[str], noise: float
) -> list[str]:
    sentences = []
    for label, finding in study.findings.items():
        sentences.append(_mention(rng, finding, label in hedged, noise))
        change = study.changes.get(label)
        if change is not None and rng.random() < 0.7:
            sentences[-1] += " " + _pick(rng, CHANGES[change])
    sentences += _resolutions(rng, study)
    sentences += _negations(rng, negated)
    sentences += [
        _pick(rng, HARMLESS[name]).format(side=side)
        for name, side in study.distractors.items()
        if name in ("leads", "tube") or rng.random() < 0.4
    ]
    if not study.findings:
        sentences.append(_pick(rng, CLEAR))
    return [sentences[index] for index in rng.permutation(len(sentences))]


def _impression_section(
    rng: np.random.Generator, study: Study, hedged: frozenset[str], negated: frozenset[str], noise: float
) -> list[str]:
    if not study.findings:
        return [_pick(rng, NORMAL), *_resolutions(rng, study)]
    sentences = [_mention(rng, finding, label in hedged, noise) for label, finding in study.findings.items()]
    return [sentences[index] for index in rng.permutation(len(sentences))]


def _mention(rng: np.random.Generator, finding: Finding, hedged: bool, noise: float) -> str:
    size = _size(rng, finding.severity)
    name = _pick(rng, NAMES[finding.label]).format(side=finding.side, zone=_zone(finding))
    if hedged:
        template = _pick(rng, HEDGED)
    elif rng.random() < noise * (1 - finding.severity):
        template = _pick(rng, INDIRECT[finding.label])
    else:
        template = _pick(rng, PLAIN)
    article = size if finding.label in ("Atelectasis", "Cardiomegaly") else f"{_article(size)} {size}"
    words = {"a_size": article, "A_size": _capital(article), "size": size, "Size": _capital(size), "name": name}
    words |= {"size_ly": ADVERBS[size], "side": finding.side, "zone": _zone(finding)}
    return template.format(**words)


def _size(rng: np.random.Generator, severity: float) -> str:
    """A size word; neighbours overlap, as readers differ."""
    third = int(np.clip((severity + rng.normal(0, 0.07)) * 3, 0, 2))
    return _pick(rng, SIZES[third])


def _zone(finding: Finding) -> str:
    if finding.zone == "middle":
        return "mid lung"
    return f"{finding.zone} {'lobe' if finding.zone == 'upper' else 'lung zone'}"


def _negations(rng: np.random.Generator, negated: frozenset[str]) -> list[str]:
    sentences = [_pick(rng, NO_CARDIOMEGALY)] if "Cardiomegaly" in negated else []
    names = [_pick(rng, ABSENT[label]) for label in LABELS if label in negated and label in ABSENT]
    names = [names[index] for index in rng.permutation(len(names))]
    while names:
        count = int(rng.integers(1, len(names) + 1))
        sentences.append(_pick(rng, NEGATIONS).format(list=_list(names[:count], "or")))
        names = names[count:]
    return sentences


def _resolutions(rng: np.random.Generator, study: Study) -> list[str]:
    sentences = []
    for label, change in study.changes.items():
        if change == "resolved" and label != "Cardiomegaly":
            finding = study.previous[label]
            name = _pick(rng, NAMES[label]).format(side=finding.side, zone=_zone(finding))
            sentences.append(_pick(rng, RESOLVED).format(name=name, Name=_capital(name)))
    return sentences


def _header(rng: np.random.Generator, anatomy: Anatomy, study: Study, lateral: bool) -> str:
    views = "CHEST (PA AND LAT)" if lateral else f"CHEST ({'PORTABLE AP' if study.view == 'AP' else 'PA'})"
    technique = "Frontal and lateral views of the chest." if lateral else f"Single {study.view} view of the chest."
    compared = "Chest radiograph from ___." if study.follow_up else "None."
    parts = {
        "EXAMINATION": views,
        "INDICATION": f"___ year old {'woman' if anatomy.sex == 'F' else 'man'}.  {_pick(rng, QUESTIONS)}",
        "TECHNIQUE": technique,
        "COMPARISON": compared,
    }
    kept = [name for name in parts if name == "EXAMINATION" or rng.random() < 0.9]
    return "".join(f" {name}:  {parts[name]}\n \n" for name in kept)


def _section(name: str, sentences: Sequence[str]) -> str:
    return f" {name}: \n \n{_paragraph(' '.join(sentences))} \n"


def _paragraph(text: str) -> str:
    return "".join(f" {row}\n" for row in wrap(text, 78))


def _list(names: Sequence[str], last: str) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]
