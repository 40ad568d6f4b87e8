"""A student's maps, logits, class tokens and rate of artefacts of all images of a cohort, and class tokens for a probe.

Artefact tokens (Darcet et al., arXiv:2309.16588) are patches of outlying norm, which draw attention to empty places.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from mmpkd.attention.gradient import predicted_score
from mmpkd.attention.maps import attention_maps
from mmpkd.cohorts.tables import CohortTables
from mmpkd.config.evaluation import RECEIVED
from mmpkd.logs import progress
from mmpkd.students.class_token import every_token
from mmpkd.students.data import LabelledImages, Pixels, labelled_images
from mmpkd.students.vision import VisionTransformer
from mmpkd.students.vit import Student, log_odds

TIMES_THE_MEDIAN = 3.0


@torch.no_grad()
def export_maps(
    student: Student,
    images: LabelledImages,
    methods: list[str],
    batch_size: int,
    device: torch.device,
    problem: str = "multi_label",
) -> dict[str, np.ndarray]:
    """Logits and maps of all images, in order: the content of `attention/.../<cohort>.npz`.

    Methods that explain a score explain the student's own prediction, see `predicted_score`.

    Args:
        student: whose maps; put into evaluation mode.
        images: of which maps are made.
        methods: keys of `mmpkd.attention.maps.METHODS`.
        batch_size: images per forward pass.
        device: that computes.
        problem: multi_label or single_label.

    Returns:
        image_id N, labels L, logits N x L float32 (the log-odds of each label), embedding N x D float32 (the class
        token that the head reads), for each method and RECEIVED N x g x g float16, and artefact_rate N float32.
    """
    student = student.to(device).eval()
    outputs, rates = [], []
    methods = [*methods, RECEIVED]
    maps: dict[str, list[torch.Tensor]] = {method: [] for method in methods}
    total = -(-len(images) // batch_size)
    for batch in progress(images.batches(batch_size), "attention", total=total, unit="batch"):
        inputs = student.normalise(batch.images.to(device))
        with last_tokens(student.vit) as tokens:
            features, found = attention_maps(
                student.vit, inputs, methods, lambda features: predicted_score(student.read(features).logits, problem)
            )
        outputs.append(student.read(features))
        rates.append(artefact_rate(tokens[0], student.vit.num_prefix_tokens).cpu())
        for method in methods:
            maps[method].append(found[method].to("cpu", torch.float16))
    return {
        "image_id": images.image_ids,
        "labels": np.array(student.labels),
        "logits": log_odds(torch.cat([output.logits.cpu() for output in outputs]), problem).numpy(),
        "embedding": torch.cat([output.embedding.cpu() for output in outputs]).numpy(),
        **{method: torch.cat(parts).numpy() for method, parts in maps.items()},
        "artefact_rate": torch.cat(rates).numpy(),
    }


def export_twins(student: Student, images: Mapping[str, LabelledImages], **exported: Any) -> dict[str, np.ndarray]:
    """The content of `attention/.../seed<k>.twins.npz`: maps and logits of the twins of several cohorts.

    Args:
        student: whose.
        images: the twins by cohort; there may be none.
        exported: further arguments of `export_maps`.

    Returns:
        cohort N, and what `export_maps` gives, N over all cohorts.
    """
    parts = {cohort: export_maps(student, twins, **exported) for cohort, twins in images.items()}
    if not parts:
        return {"cohort": np.array([], dtype=str)}
    joined = {name: np.concatenate([part[name] for part in parts.values()]) for name in next(iter(parts.values()))}
    cohorts = np.repeat([*parts], [len(part["image_id"]) for part in parts.values()])
    return {**joined, "labels": np.array(student.labels), "cohort": cohorts}


def artefact_rate(tokens: torch.Tensor, prefix: int) -> torch.Tensor:
    """The share of an image's patch tokens whose norm is more than three times the median of these norms, N.

    Darcet et al. cut at a norm of 150, which suits one model; relative to the image's own median the
    same rule does not depend on the scale of a model's features.

    Args:
        tokens: output of the last block, before the final norm, N x T x D.
        prefix: tokens before the patches: class, distillation, registers.
    """
    norms = tokens[:, prefix:].norm(dim=-1)
    median = norms.quantile(0.5, dim=1, keepdim=True)
    return (norms > TIMES_THE_MEDIAN * median).to(norms.dtype).mean(dim=1)


@contextmanager
def last_tokens(vit: VisionTransformer) -> Iterator[list[torch.Tensor]]:
    """A list to which each forward adds the output of the last block, all tokens of it, N x T x D."""
    tokens: list[torch.Tensor] = []
    hook = vit.blocks[-1].register_forward_hook(lambda _, inputs, output: tokens.append(output))
    try:
        with every_token(vit):
            yield tokens
    finally:
        hook.remove()


def probe_images(
    tables: Mapping[str, CohortTables], stores: Mapping[str, Pixels], cohorts: Sequence[str], count: int, seed: int
) -> dict[str, LabelledImages]:
    """The stored images of the train split of cohorts, a part of them.

    Args:
        tables: by cohort.
        stores: by cohort.
        cohorts: which of them.
        count: the most images per cohort.
        seed: decides which images are drawn.
    """
    return {
        cohort: drawn(labelled_images(tables[cohort], stores[cohort], "train", []), count, np.random.default_rng(seed))
        for cohort in cohorts
    }


def drawn(images: LabelledImages, count: int, rng: np.random.Generator) -> LabelledImages:
    """At most `count` of the images, in their order.

    Args:
        images: from which they are drawn.
        count: the most that are kept.
        rng: decides which.
    """
    if len(images) <= count:
        return images
    rows = np.sort(rng.choice(len(images), size=count, replace=False))
    return replace(
        images, positions=images.positions[rows], labels=images.labels[rows], image_ids=images.image_ids[rows]
    )


def export_features(
    student: Student, images: Mapping[str, LabelledImages], batch_size: int, device: torch.device
) -> dict[str, np.ndarray]:
    """The content of `attention/.../seed<k>.features.npz`.

    Args:
        student: whose class tokens; it is not trained.
        images: by cohort.
        batch_size: images per forward pass.
        device: where it runs.

    Returns:
        cohort N, image_id N, and embedding N x D float32, the class token that the head reads.
    """
    return {
        "cohort": np.repeat([*images], [len(part) for part in images.values()]),
        "image_id": np.concatenate([part.image_ids for part in images.values()]),
        "embedding": np.concatenate([class_tokens(student, part, batch_size, device) for part in images.values()]),
    }


@torch.no_grad()
def class_tokens(student: Student, images: LabelledImages, batch_size: int, device: torch.device) -> np.ndarray:
    """N x D float32: the embedding that the head reads.

    Args:
        student: that embeds them.
        images: that are embedded.
        batch_size: images per forward pass.
        device: that computes.
    """
    student = student.to(device).eval()
    batches = progress(images.batches(batch_size), "features", total=-(-len(images) // batch_size), unit="batch")
    return torch.cat([student(batch.images.to(device)).embedding.cpu() for batch in batches]).numpy()
