"""Losses against golden values of an independent computation, against torch's own, and by their invariances."""

import inspect
import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from mmpkd.config.students import LOSSES, Arm
from mmpkd.students import losses
from mmpkd.students.losses import FUNCTIONS, Targets, arm_loss
from mmpkd.students.vit import StudentOutput
from tests.unit import golden_losses

NAN = float("nan")
PROBLEMS = ("multi_label", "single_label")
GOLDEN = json.loads((Path(__file__).parent / "golden_losses.json").read_text())
seeds = st.integers(0, 2**32 - 1)


def arm_of(weights, **settings):
    """An arm with these losses, and a teacher where one of them reads it."""
    return Arm(teacher="privileged" if any(LOSSES[name] for name in weights) else "none", losses=weights, **settings)


def batch_of(entry, dtype=torch.float64):
    parts = {
        name: torch.tensor([[NAN if value is None else value for value in row] for row in rows], dtype=dtype)
        for name, rows in entry["batch"].items()
    }
    outputs = StudentOutput(*(parts.pop(field.name).requires_grad_() for field in fields(StudentOutput)))
    return outputs, Targets(**parts)


def random_batch(seed=0, images=6, labels=3, dtype=torch.float64, problem="multi_label"):
    generator = torch.Generator().manual_seed(seed)

    def normal(width):
        return torch.randn(images, width, generator=generator, dtype=dtype)

    outputs = StudentOutput(*(normal(width).requires_grad_() for width in (labels, 4, 5)))
    classes = normal(labels)
    y = (
        functional.one_hot(classes.argmax(1), labels).to(dtype)
        if problem == "single_label"
        else (classes > 0).to(dtype)
    )
    return outputs, Targets(y, normal(labels), normal(5))


def unknown_rows(targets, rows):
    """The same targets with nothing known of some rows."""
    parts = {field.name: getattr(targets, field.name).clone() for field in fields(Targets)}
    for part in parts.values():
        part[rows] = NAN
    return Targets(**parts)


def taken(batch, rows):
    return type(batch)(*(getattr(batch, field.name)[rows] for field in fields(batch)))


def gradients(value, outputs):
    leaves = [getattr(outputs, field.name) for field in fields(StudentOutput)]
    return torch.autograd.grad(value, leaves, allow_unused=True, materialize_grads=True)


def test_golden_values_are_those_of_their_script():
    for stored, computed in zip(GOLDEN, golden_losses.golden(), strict=True):
        assert stored["batch"] == computed["batch"]
        for old, new in zip(stored["values"], computed["values"], strict=True):
            assert old == pytest.approx(new, rel=1e-12)


@pytest.mark.parametrize("dtype,tolerance", [(torch.float64, 1e-10), (torch.float32, 2e-5)], ids=["float64", "float32"])
@pytest.mark.parametrize("entry", GOLDEN, ids=lambda entry: f"{entry['problem']}-{entry['name']}")
@pytest.mark.parametrize("name", LOSSES)
def test_loss_has_its_golden_value_and_a_finite_gradient(name, entry, dtype, tolerance):
    outputs, targets = batch_of(entry, dtype)
    for golden in entry["values"]:
        arm = arm_of({name: 1.0}, temperature=golden["temperature"], smoothing=golden["smoothing"])
        value = FUNCTIONS[name](outputs, targets, arm, entry["problem"])
        assert value.dtype == dtype and value.shape == ()
        assert value.item() == pytest.approx(golden[name], rel=tolerance, abs=tolerance)
        assert all(gradient.isfinite().all() for gradient in gradients(value, outputs))


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", LOSSES)
def test_gradient_is_the_derivative(name, problem):
    outputs, targets = random_batch(problem=problem)
    targets = unknown_rows(targets, [1])
    arm = arm_of({name: 1.0}, temperature=2.0, smoothing=0.1)

    def loss(*parts):
        return FUNCTIONS[name](StudentOutput(*parts), targets, arm, problem)

    assert torch.autograd.gradcheck(loss, (outputs.logits, outputs.embedding, outputs.projected))


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", LOSSES)
def test_unknown_rows_change_nothing_and_get_no_gradient(name, problem):
    outputs, targets = random_batch(images=8, problem=problem)
    arm, unknown, rest = arm_of({name: 1.0}, temperature=2.0), [0, 3, 7], [1, 2, 4, 5, 6]
    value = FUNCTIONS[name](outputs, unknown_rows(targets, unknown), arm, problem)
    alone = FUNCTIONS[name](taken(outputs, rest), taken(targets, rest), arm, problem)
    assert value.item() == pytest.approx(alone.item(), rel=1e-12)
    found = gradients(value, outputs)
    assert all((gradient[unknown] == 0).all() for gradient in found)
    assert any((gradient[rest] != 0).any() for gradient in found)


@pytest.mark.parametrize("name", ["label", "logit", "soft_label"])
def test_one_unknown_label_hides_itself_or_in_a_single_label_problem_its_row(name):
    for problem in PROBLEMS:
        outputs, targets = random_batch(problem=problem)
        targets.labels[0, 1] = targets.teacher_logits[0, 1] = NAN
        gradient = gradients(FUNCTIONS[name](outputs, targets, arm_of({name: 1.0}), problem), outputs)[0]
        assert (gradient[0] != 0).tolist() == ([True, False, True] if problem == "multi_label" else [False] * 3)


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", LOSSES)
def test_where_nothing_is_known_the_loss_is_zero_with_a_gradient_of_zero(name, problem):
    outputs, targets = random_batch(problem=problem)
    value = FUNCTIONS[name](outputs, unknown_rows(targets, slice(None)), arm_of({name: 1.0}), problem)
    assert value.item() == 0 and value.requires_grad
    assert all((gradient == 0).all() for gradient in gradients(value, outputs))


@pytest.mark.parametrize("images", [1, 2])
def test_relations_of_too_few_images_are_zero_with_a_gradient(images):
    outputs, targets = random_batch(images=images)
    for name in ("relational_distance", "relational_angle"):
        value = FUNCTIONS[name](outputs, targets, arm_of({name: 1.0}), "multi_label")
        assert value.item() == pytest.approx(0, abs=1e-15) and value.requires_grad


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_losses_agree_with_those_of_torch(temperature):
    outputs, targets = random_batch(problem="single_label")
    arm = Arm(teacher="privileged", losses=dict.fromkeys(LOSSES, 1.0), temperature=temperature, smoothing=0.2)
    wanted = functional.layer_norm(targets.teacher_embedding, (5,))
    same = torch.ones(6, dtype=torch.float64)
    student = (outputs.logits / temperature).log_softmax(1)
    teacher = (targets.teacher_logits / temperature).softmax(1)
    expected = {
        "label": functional.cross_entropy(outputs.logits, targets.labels.argmax(1), label_smoothing=0.2),
        "logit": temperature**2 * functional.kl_div(student, teacher, reduction="batchmean"),
        "soft_label": functional.cross_entropy(outputs.logits, teacher),
        "embedding_cosine": functional.cosine_embedding_loss(outputs.projected, wanted, same),
        "embedding_mse": functional.mse_loss(outputs.projected, wanted),
        "embedding_smooth_l1": functional.smooth_l1_loss(outputs.projected, wanted),
    }
    terms = arm_loss(arm, outputs, targets, "single_label")
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(value.item(), rel=1e-12)
    targets = random_batch()[1]
    binary = functional.binary_cross_entropy_with_logits(outputs.logits, targets.labels)
    assert arm_loss(Arm(), outputs, targets, "multi_label")["label"].item() == pytest.approx(binary.item(), rel=1e-12)


@given(seeds, st.sampled_from([0.5, 1.0, 3.0]), st.sampled_from(PROBLEMS))
@settings(max_examples=25, deadline=None)
def test_divergence_has_the_gradient_of_softened_cross_entropy_and_is_never_negative(seed, temperature, problem):
    outputs, targets = random_batch(seed, problem=problem)
    value = losses.logit(outputs, targets, arm_of({"logit": 1.0}, temperature=temperature), problem)
    answer = torch.sigmoid if problem == "multi_label" else (lambda logits: logits.softmax(1))
    difference = answer(outputs.logits / temperature) - answer(targets.teacher_logits / temperature)
    counted = outputs.logits.numel() if problem == "multi_label" else len(outputs.logits)
    assert value.item() > -1e-15
    assert torch.allclose(gradients(value, outputs)[0], temperature * difference / counted, atol=1e-12)
    own = replace(targets, teacher_logits=outputs.logits.detach())
    assert losses.logit(outputs, own, arm_of({"logit": 1.0}), problem).item() == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_label_and_soft_label_make_generalised_distillation(problem):
    outputs, targets = random_batch(problem=problem)
    arm = arm_of({"label": 0.7, "soft_label": 0.3}, temperature=2.0)
    softened = targets.teacher_logits / 2
    softened = softened.sigmoid() if problem == "multi_label" else softened.softmax(1)
    mixed = replace(targets, labels=0.7 * targets.labels + 0.3 * softened)
    expected = losses.label(outputs, mixed, Arm(), problem)
    assert arm_loss(arm, outputs, targets, problem)["loss"].item() == pytest.approx(expected.item(), rel=1e-12)


def test_embedding_losses_ignore_the_offset_and_scale_of_the_teacher():
    outputs, targets = random_batch()
    moved = replace(targets, teacher_embedding=1e3 * targets.teacher_embedding + 50)
    for name in ("embedding_cosine", "embedding_mse", "embedding_smooth_l1"):
        before, after = (FUNCTIONS[name](outputs, each, Arm(), "multi_label").item() for each in (targets, moved))
        assert after == pytest.approx(before, rel=1e-3)
    opposite = replace(outputs, projected=-functional.layer_norm(targets.teacher_embedding, (5,)))
    assert losses.embedding_cosine(opposite, targets, Arm(), "multi_label").item() == pytest.approx(2)


@given(seeds, st.floats(0.1, 10), st.floats(-5, 5))
@settings(max_examples=25, deadline=None)
def test_relations_survive_rotation_scale_and_shift(seed, scale, shift):
    outputs, targets = random_batch(seed)
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64)).Q
    moved = replace(outputs, embedding=scale * outputs.embedding @ rotation + shift)
    alike = replace(targets, teacher_embedding=moved.embedding.detach())
    for name in ("relational_distance", "relational_angle"):
        before, after = (FUNCTIONS[name](each, targets, Arm(), "multi_label").item() for each in (outputs, moved))
        assert before > 1e-6 and after == pytest.approx(before, rel=1e-9)
        assert FUNCTIONS[name](outputs, alike, Arm(), "multi_label").item() == pytest.approx(0, abs=1e-15)


def test_a_side_is_short_by_the_mean_distance_not_in_itself():
    outputs, targets = random_batch()
    whole = losses.relational_angle(outputs, targets, Arm(), "multi_label").item()
    for scale in (1e-5, 1e5):
        student = replace(outputs, embedding=scale * outputs.embedding)
        teacher = replace(targets, teacher_embedding=scale * targets.teacher_embedding)
        for pair in ((student, targets), (outputs, teacher)):
            assert losses.relational_angle(*pair, Arm(), "multi_label").item() == pytest.approx(whole, rel=1e-9)

    def with_second_row_beside_the_first(distance):
        embedding = outputs.embedding.detach().clone()
        embedding[1] = embedding[0] + torch.tensor([distance, 0, 0, 0])
        return losses.relational_angle(replace(outputs, embedding=embedding), targets, Arm(), "multi_label").item()

    without = with_second_row_beside_the_first(0.0)
    assert with_second_row_beside_the_first(1e-5) == pytest.approx(without, rel=1e-4)
    assert with_second_row_beside_the_first(0.01) != pytest.approx(without, rel=0.01)


def test_relations_of_a_collapsed_student_or_teacher_are_zero_with_a_finite_gradient():
    outputs, targets = random_batch(dtype=torch.float32)
    flat = replace(outputs, embedding=torch.ones(6, 4, requires_grad=True))
    same = replace(targets, teacher_embedding=torch.ones(6, 5))
    for name in ("relational_distance", "relational_angle"):
        for pair in ((flat, targets), (outputs, same), (flat, same)):
            value = FUNCTIONS[name](*pair, Arm(), "multi_label")
            assert value.item() == 0
            assert all((gradient == 0).all() for gradient in gradients(value, pair[0]))


def test_angles_in_blocks_are_those_at_once(monkeypatch):
    outputs, targets = random_batch(images=11)
    targets = unknown_rows(targets, [4])
    whole = losses.relational_angle(outputs, targets, Arm(), "multi_label")
    monkeypatch.setattr(losses, "ANGLES_AT_ONCE", 3 * 11**2)
    blocks = losses.relational_angle(outputs, targets, Arm(), "multi_label")
    assert blocks.item() == pytest.approx(whole.item(), rel=1e-12)
    assert torch.allclose(gradients(blocks, outputs)[1], gradients(whole, outputs)[1], rtol=1e-10)


def test_angles_of_a_large_batch_keep_little_for_the_backward_pass():
    outputs, targets = random_batch(images=140, dtype=torch.float32)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.nbytes) or t, lambda t: t):
        losses.relational_angle(outputs, targets, Arm(), "multi_label")
    assert sum(kept) < 4 * 140**3


@pytest.mark.parametrize("problem", PROBLEMS)
def test_terms_are_float32_under_bf16_autocast(problem):
    outputs, targets = random_batch(dtype=torch.bfloat16, problem=problem)
    arm = Arm(teacher="privileged", losses=dict.fromkeys(LOSSES, 1.0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = arm_loss(arm, outputs, targets, problem)
    for name, value in arm_loss(
        arm,
        StudentOutput(*(getattr(outputs, field.name).double() for field in fields(StudentOutput))),
        Targets(*(getattr(targets, field.name).double() for field in fields(Targets))),
        problem,
    ).items():
        assert terms[name].dtype == torch.float32
        assert terms[name].item() == pytest.approx(value.item(), rel=1e-5, abs=1e-6)


def test_a_loss_with_a_matrix_product_is_float32_under_autocast_too(monkeypatch):
    outputs, targets = random_batch(dtype=torch.bfloat16)
    monkeypatch.setitem(FUNCTIONS, "label", lambda outputs, *_: (outputs.logits @ outputs.logits.T)[0, 0])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert arm_loss(Arm(), outputs, targets, "multi_label")["label"].dtype == torch.float32


def test_arm_loss_weighs_its_terms_and_ramps_those_of_the_teacher():
    outputs, targets = random_batch()
    weights = {name: 0.5 + position for position, name in enumerate(LOSSES)}
    terms = arm_loss(arm_of(weights, temperature=2.0), outputs, targets, "multi_label", ramp=0.25)
    assert list(terms) == ["loss", *LOSSES]
    for name, weight in weights.items():
        alone = FUNCTIONS[name](outputs, targets, Arm(temperature=2.0), "multi_label").item()
        assert terms[name].item() == pytest.approx(weight * alone * (1 if name == "label" else 0.25))
    assert terms["loss"].item() == pytest.approx(sum(terms[name].item() for name in LOSSES))


def test_baseline_needs_no_teacher():
    outputs, targets = StudentOutput(torch.zeros(2, 2), torch.zeros(2, 4)), Targets(torch.ones(2, 2))
    assert set(arm_loss(Arm(), outputs, targets, "multi_label", 0.0)) == {"loss", "label"}


@pytest.mark.parametrize("name", [name for name in LOSSES if LOSSES[name]])
def test_a_teacher_without_what_a_loss_reads_is_refused(name):
    outputs, targets = random_batch()
    with pytest.raises(ValueError, match=f"losses.{name} reads the teacher's {LOSSES[name]}"):
        arm_loss(arm_of({name: 1.0}), outputs, Targets(targets.labels), "multi_label")


def test_an_embedding_loss_without_a_projector_is_refused():
    outputs, targets = random_batch()
    with pytest.raises(ValueError, match="projector"):
        arm_loss(arm_of({"embedding_mse": 1.0}), replace(outputs, projected=None), targets, "multi_label")


def test_a_registered_loss_without_a_function_is_named(monkeypatch):
    monkeypatch.setitem(LOSSES, "logit_mse", "logits")
    with pytest.raises(NotImplementedError, match="logit_mse"):
        losses._functions()


def test_no_loss_can_see_a_region_of_interest():
    assert {field.name for field in fields(StudentOutput)} == {"logits", "embedding", "projected"}
    assert {field.name for field in fields(Targets)} == {"labels", "teacher_logits", "teacher_embedding"}
    for function in FUNCTIONS.values():
        assert list(inspect.signature(function).parameters) == ["outputs", "targets", "arm", "problem"]
