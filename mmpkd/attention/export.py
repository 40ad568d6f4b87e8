"""A student's maps, logits and class tokens of all images of a cohort."""

import numpy as np
import torch

from mmpkd.attention.artefacts import artefact_rate, last_tokens
from mmpkd.attention.gradient import predicted_score
from mmpkd.attention.maps import attention_maps
from mmpkd.logs import progress
from mmpkd.students.data import LabelledImages
from mmpkd.students.vit import Student, log_odds


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

    Returns:
        image_id N, labels L, logits N x L float32 (the log-odds of each label), embedding N x D float32 (the class
        token that the head reads), for each method N x g x g float16, and artefact_rate N float32.
    """
    student = student.to(device).eval()
    outputs, rates, maps = [], [], {method: [] for method in methods}
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
