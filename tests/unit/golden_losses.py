"""The losses once more, in loops over plain numbers, straight from their formulas and without torch.

`python -m tests.unit.golden_losses > tests/unit/golden_losses.json` writes the inputs and the values that
test_losses.py holds the library to.
"""

import json
import math
from itertools import permutations, product

import numpy as np

LOSSES = (
    "label",
    "logit",
    "soft_label",
    "embedding_cosine",
    "embedding_mse",
    "embedding_smooth_l1",
    "relational_distance",
    "relational_angle",
)


def bernoullis(logit):
    return [1 / (1 + math.exp(-logit)), 1 / (1 + math.exp(logit))]


def log_bernoullis(logit):
    return [-max(-logit, 0) - math.log1p(math.exp(-abs(logit))), -max(logit, 0) - math.log1p(math.exp(-abs(logit)))]


def softmax(row):
    return [1 / sum(math.exp(other - own) for other in row) for own in row]


def log_softmax(row):
    top = max(row)
    return [own - top - math.log(sum(math.exp(other - top) for other in row)) for own in row]


def decisions(student, target, problem):
    """(student's logits, target's values) of each choice that counts: a known label, or a wholly known row."""
    for z, y in zip(student, target, strict=True):
        if problem == "single_label" and None not in y:
            yield z, y
        elif problem == "multi_label":
            yield from ((a, b) for a, b in zip(z, y, strict=True) if b is not None)


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0


def label(batch, problem, temperature, smoothing):
    def cross_entropy(z, y):
        if problem == "multi_label":
            log_q, y = log_bernoullis(z), [y, 1 - y]
        else:
            log_q = log_softmax(z)
        return -sum((p * (1 - smoothing) + smoothing / len(log_q)) * q for p, q in zip(y, log_q, strict=True))

    return mean(cross_entropy(z, y) for z, y in decisions(batch["logits"], batch["labels"], problem))


def logit(batch, problem, temperature, smoothing):
    def divergence(z, t):
        if problem == "multi_label":
            p, log_p, log_q = (
                bernoullis(t / temperature),
                log_bernoullis(t / temperature),
                log_bernoullis(z / temperature),
            )
        else:
            z, t = [a / temperature for a in z], [a / temperature for a in t]
            p, log_p, log_q = softmax(t), log_softmax(t), log_softmax(z)
        return sum(a * (b - c) for a, b, c in zip(p, log_p, log_q, strict=True))

    pairs = decisions(batch["logits"], batch["teacher_logits"], problem)
    return temperature**2 * mean(divergence(z, t) for z, t in pairs)


def soft_label(batch, problem, temperature, smoothing):
    def cross_entropy(z, t):
        if problem == "multi_label":
            p, log_q = bernoullis(t / temperature), log_bernoullis(z)
        else:
            p, log_q = softmax([a / temperature for a in t]), log_softmax(z)
        return -sum(a * b for a, b in zip(p, log_q, strict=True))

    return mean(cross_entropy(z, t) for z, t in decisions(batch["logits"], batch["teacher_logits"], problem))


def projections(batch):
    """(projected student, layer-normed teacher) of each row with a teacher."""
    for row, teacher in zip(batch["projected"], batch["teacher_embedding"], strict=True):
        if None not in teacher:
            centre = mean(teacher)
            spread = math.sqrt(mean((value - centre) ** 2 for value in teacher) + 1e-5)
            yield row, [(value - centre) / spread for value in teacher]


def huber(difference):
    return difference**2 / 2 if abs(difference) < 1 else abs(difference) - 0.5


def embedding_cosine(batch, *_):
    return mean(1 - cosine(a, b) for a, b in projections(batch))


def embedding_mse(batch, *_):
    return mean(mean((x - y) ** 2 for x, y in zip(a, b, strict=True)) for a, b in projections(batch))


def embedding_smooth_l1(batch, *_):
    return mean(mean(huber(x - y) for x, y in zip(a, b, strict=True)) for a, b in projections(batch))


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


def minus(a, b):
    return [x - y for x, y in zip(a, b, strict=True)]


def rows_with_teacher(batch):
    kept = [i for i, row in enumerate(batch["teacher_embedding"]) if None not in row]
    return [batch["embedding"][i] for i in kept], [batch["teacher_embedding"][i] for i in kept]


def mean_distance(rows):
    return mean(math.dist(a, b) for a, b in permutations(rows, 2))


def relational_distance(batch, *_):
    student, teacher = rows_with_teacher(batch)
    scales = mean_distance(student), mean_distance(teacher)
    if not all(scales):
        return 0.0
    return mean(
        huber(math.dist(student[i], student[j]) / scales[0] - math.dist(teacher[i], teacher[j]) / scales[1])
        for i, j in permutations(range(len(student)), 2)
    )


def relational_angle(batch, *_):
    student, teacher = rows_with_teacher(batch)
    shortest = 1e-4 * mean_distance(student), 1e-4 * mean_distance(teacher)
    values = []
    for i, j, k in permutations(range(len(student)), 3):
        sides = [(minus(rows[i], rows[j]), minus(rows[k], rows[j])) for rows in (student, teacher)]
        if all(math.hypot(*side) > least for pair, least in zip(sides, shortest, strict=True) for side in pair):
            values.append(huber(cosine(*sides[0]) - cosine(*sides[1])))
    return mean(values)


def random_batch(seed, problem, images=7, labels=3, scale=2.0):
    """Numbers with three decimals, so that the file shows exactly what was put in; a seventh is unknown."""
    random = np.random.default_rng(seed)

    def normal(width, size=scale):
        return random.normal(0, size, (images, width)).round(3).tolist()

    batch = {"logits": normal(labels), "embedding": normal(4), "projected": normal(5), "teacher_logits": normal(labels)}
    batch["teacher_embedding"] = normal(5)
    if problem == "single_label":
        batch["labels"] = np.eye(labels)[random.integers(labels, size=images)].tolist()
    else:
        batch["labels"] = random.integers(2, size=(images, labels)).astype(float).tolist()
    batch["labels"][0][1] = batch["labels"][3][0] = None
    batch["teacher_logits"][2][-1] = None
    batch["teacher_logits"][4] = [None] * labels
    batch["teacher_embedding"][5] = [None] * 5
    return batch


def extreme(batch):
    """Logits of +-200, student and teacher at odds and in agreement."""
    for row, (z, t) in enumerate(product((200.0, -200.0), repeat=2)):
        batch["logits"][row][0], batch["teacher_logits"][row][0] = z, t
    return batch


def coinciding(batch):
    """Two equal rows of the teacher, as of two images of a study, and two others of the student."""
    batch["teacher_embedding"][1] = list(batch["teacher_embedding"][0])
    batch["embedding"][3] = list(batch["embedding"][2])
    return batch


def known_rows(batch, count):
    """Only `count` rows with a teacher."""
    for name in ("teacher_embedding", "teacher_logits"):
        batch[name][count:] = [[None] * len(row) for row in batch[name][count:]]
    return batch


def batches(problem):
    return {
        "random": random_batch(1, problem),
        "two labels": random_batch(2, problem, images=6, labels=2),
        "small": random_batch(3, problem, images=6, scale=0.3),
        "extreme": extreme(random_batch(4, problem)),
        "coinciding": coinciding(random_batch(5, problem)),
        "three known": known_rows(random_batch(6, problem), 3),
        "two known": known_rows(random_batch(7, problem), 2),
        "one known": known_rows(random_batch(8, problem), 1),
        "none known": known_rows(random_batch(9, problem), 0),
    }


def golden():
    """One entry a problem, batch, temperature and smoothing: the inputs and the value of every loss."""
    entries = []
    for problem in ("multi_label", "single_label"):
        for name, batch in batches(problem).items():
            settings = [(1.0, 0.0), (2.0, 0.1), (4.0, 0.3)]
            values = [
                {"temperature": t, "smoothing": e, **{loss: globals()[loss](batch, problem, t, e) for loss in LOSSES}}
                for t, e in settings
            ]
            entries.append({"name": name, "problem": problem, "batch": batch, "values": values})
    return entries


if __name__ == "__main__":
    print("[\n" + ",\n".join(json.dumps(entry) for entry in golden()) + "\n]")
