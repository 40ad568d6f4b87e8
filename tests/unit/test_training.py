"""The one training loop."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from mmpkd.config.students import Arm, Training
from mmpkd.students.data import Feed, LabelledImages, Task, seed_of, with_teacher
from mmpkd.students.engine import make_learner
from mmpkd.students.events import Events
from mmpkd.students.loop import predict, train
from mmpkd.students.optimizer import MovingAverage, learning_rate_factor, make_optimizer, ramp_factor
from mmpkd.students.teaching import shuffle_among_patients
from mmpkd.students.vit import Student, create
from tests.training import CPU, SMALL, squares

MMPKD = Arm(teacher="privileged", losses={"label": 1.0, "logit": 3.0})
COURSE = Training(epochs=3, batch_size=32, learning_rate=3e-3, shift=1, ema=0.0)


def fit(arm: Arm = MMPKD, seed: int = 0, data: LabelledImages | None = None, model=SMALL, events=None, **changes):
    data = data or squares(192, 1)
    if arm.teacher != "none" and data.teacher_logits is None:
        data = with_teacher(data, 8 * data.labels - 4, np.random.default_rng(0).normal(size=(len(data), 5)))
    training = COURSE.model_copy(update=changes)
    student = create(model, 32, ["square"], seed)
    return train(student, Task(data, squares(64, 2), arm), training, seed, CPU, events=events)


def same(first: Student, second: Student) -> bool:
    states = first.state_dict(), second.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_student_learns_what_is_learnable():
    trained = fit(Arm(), epochs=8)
    assert trained.history["validation_auroc"].max() > 0.95
    assert trained.history["selected"].sum() == 1


def test_same_seed_same_weights_and_another_seed_others():
    first, second, other = fit(), fit(), fit(seed=1)
    assert same(first.student, second.student)
    assert not same(first.student, other.student)
    pd.testing.assert_frame_equal(first.history, second.history)


@pytest.mark.parametrize("workers", [1, 3])
def test_reading_ahead_changes_nothing(workers):
    alone, ahead = fit(), fit(workers=workers)
    assert same(alone.student, ahead.student)
    pd.testing.assert_frame_equal(alone.history, ahead.history)


def test_a_model_with_dropout_is_the_same_for_the_same_seed_and_leaves_the_global_state_alone():
    dropping = SMALL.model_copy(update={"arguments": {**SMALL.arguments, "drop_path_rate": 0.3, "proj_drop_rate": 0.2}})
    before = torch.random.get_rng_state()
    first, second = fit(model=dropping), fit(model=dropping)
    assert same(first.student, second.student)
    assert not same(first.student, fit().student)
    assert torch.equal(before, torch.random.get_rng_state())


def test_arms_share_data_order_and_augmentation():
    plain = squares(64, 1)
    taught = with_teacher(plain, np.ones((64, 1)), np.ones((64, 3)))
    drawn = [torch.cat([b.images for _, b in Feed(data, COURSE, 3).epoch(1)]) for data in (plain, taught)]
    assert torch.equal(*drawn)


def test_an_epoch_shows_each_image_once_and_the_next_in_another_order():
    data = squares(70, 1)
    data.labels = np.arange(70, dtype=np.float32)[:, None]
    feed = Feed(data, COURSE, 0)
    epochs = [torch.cat([b.targets.labels[:, 0] for _, b in feed.epoch(epoch)]).tolist() for epoch in (1, 2)]
    assert feed.steps == 2 and all(len(set(seen)) == 64 for seen in epochs)
    assert epochs[0] != epochs[1]


def test_an_epoch_that_goes_on_from_a_step_has_the_same_batches():
    feed = Feed(squares(128, 1), COURSE, 4)
    whole = {step: batch.images for step, batch in feed.epoch(2)}
    rest = {step: batch.images for step, batch in feed.epoch(2, first=2)}
    assert list(rest) == [2, 3]
    assert all(torch.equal(whole[step], images) for step, images in rest.items())


def test_the_processes_of_a_run_share_each_batch():
    data = squares(64, 1)
    whole = [batch for _, batch in Feed(data, COURSE, 0).epoch(1)]
    parts = [[batch for _, batch in Feed(data, COURSE, 0, rank, 2).epoch(1)] for rank in (0, 1)]
    for batch, *halves in zip(whole, *parts, strict=True):
        assert torch.equal(torch.stack([half.images for half in halves], dim=1).flatten(0, 1), batch.images)
        assert all(torch.equal(half.targets.labels, batch.targets.labels) for half in halves)


def test_seeds_of_different_numbers_differ():
    seeds = {seed_of(seed, epoch, step) for seed in range(5) for epoch in range(5) for step in range(20)}
    assert len(seeds) == 500 and max(seeds) < 2**63


def test_the_teacher_outweighs_noisy_labels():
    """Half of the labels are wrong; the teacher knows better, a teacher of other patients does not."""
    data = squares(192, 1)
    truth = data.labels.copy()
    flip = np.random.default_rng(0).random(truth.shape) < 0.5
    data.labels = np.where(flip, 1 - truth, truth)
    data = with_teacher(data, 8 * truth - 4, np.zeros((192, 1)))
    taught = fit(data=data, epochs=6).history["validation_auroc"].iloc[-1]
    rows = shuffle_among_patients(data.patients, np.random.default_rng(0))
    data = dataclasses.replace(data, teacher_logits=data.teacher_logits[rows])
    misled = fit(data=data, epochs=6).history["validation_auroc"].iloc[-1]
    assert taught > 0.9 > misled


def test_the_selected_epoch_is_the_best_on_validation_and_its_weights_are_kept():
    trained = fit(Arm(), epochs=5, learning_rate=2e-2)
    best = trained.history["validation_auroc"].max()
    assert trained.history["validation_auroc"][trained.history["selected"]].item() == best
    from mmpkd.auroc import macro_auroc

    images = squares(64, 2)
    assert macro_auroc(predict(trained.student, images, 32, CPU), images.labels) == best


def test_training_stops_early_where_that_is_configured_and_keeps_the_best_epoch():
    data = squares(64, 1)
    data.labels = np.random.default_rng(0).integers(0, 2, (64, 1)).astype(np.float32)  # nothing to learn
    whole, stopped = (fit(Arm(), data=data, epochs=12, patience=patience).history for patience in (0, 2))
    assert len(whole) == 12 and len(stopped) < 12
    assert stopped["epoch"].iloc[-1] - stopped["epoch"][stopped["selected"]].item() == 2
    pd.testing.assert_frame_equal(whole.iloc[: len(stopped)].drop(columns="selected"), stopped.drop(columns="selected"))


def test_the_moving_average_of_the_weights_is_what_is_judged_and_kept():
    plain, averaged = fit(epochs=1), fit(epochs=1, ema=0.9)
    assert not same(plain.student, averaged.student)
    losses = ["loss", "label_loss", "logit_loss"]
    pd.testing.assert_frame_equal(plain.history[losses], averaged.history[losses])  # training itself is the same
    nearly = fit(epochs=1, ema=1e-9)
    for name, tensor in plain.student.state_dict().items():
        torch.testing.assert_close(nearly.student.state_dict()[name], tensor)


def test_a_moving_average_follows_the_weights_and_takes_over_counters():
    model = torch.nn.BatchNorm1d(3)
    average = MovingAverage(model, 0.75)
    for value in (1.0, 2.0):
        with torch.no_grad():
            model.bias.fill_(value)
            model.num_batches_tracked.add_(1)
        average.follow()
    torch.testing.assert_close(average.module.bias, torch.full((3,), 0.75 * 0.25 + 0.25 * 2.0), check_dtype=False)
    assert average.module.num_batches_tracked == 2
    assert not average.module.bias.requires_grad


@pytest.mark.parametrize("projector", ["linear", "orthogonal"])
def test_embedding_distillation_trains_a_projector_but_leaves_the_student_as_it_is(projector):
    arm = Arm(teacher="privileged", losses={"embedding_mse": 1.0}, projector=projector)
    trained = fit(arm, epochs=1)
    assert set(trained.student.state_dict()) == set(create(SMALL, 32, ["square"], 0).state_dict())
    assert {"loss", "embedding_mse_loss"} < set(trained.history)


def test_an_orthogonal_projector_stays_orthogonal():
    images = with_teacher(squares(64, 1), np.ones((64, 1)), np.random.default_rng(0).normal(size=(64, 5)))
    arm = Arm(teacher="privileged", losses={"embedding_mse": 1.0}, projector="orthogonal")
    learner = make_learner(create(SMALL, 32, ["square"], 0), images, arm, 0)
    optimizer = make_optimizer(learner, COURSE)
    for _ in range(3):
        learner(images.batch(np.arange(8)).images)[2].square().sum().backward()
        optimizer.step()
    weight = learner.projector.weight.detach()
    torch.testing.assert_close(weight @ weight.T, torch.eye(5), atol=1e-5, rtol=0)


def test_exactly_one_label_is_learnt_with_a_softmax():
    data, validation = squares(192, 1), squares(64, 2)
    for images in (data, validation):
        images.labels = np.concatenate([images.labels, 1 - images.labels], axis=1)
    student = create(SMALL, 32, ["square", "none"], 0)
    course = COURSE.model_copy(update={"epochs": 8})
    trained = train(student, Task(data, validation, problem="single_label"), course, 0, CPU)
    odds = torch.from_numpy(predict(trained.student, validation, 32, CPU, "single_label"))
    torch.testing.assert_close(odds.sigmoid().sum(dim=1), torch.ones(64))
    assert trained.history["validation_auroc"].max() > 0.95


def test_the_teachers_losses_rise_over_the_ramp():
    assert [ramp_factor(step, 100, 0.0) for step in (0, 50)] == [1, 1]
    assert [ramp_factor(step, 100, 0.2) for step in (0, 9, 19, 20)] == pytest.approx([0.05, 0.5, 1, 1])
    histories = [fit(MMPKD.model_copy(update={"ramp": ramp}), epochs=1).history for ramp in (0.0, 1.0)]
    assert histories[1]["logit_loss"].item() < 0.8 * histories[0]["logit_loss"].item()


def test_learning_rate_rises_then_falls_to_zero():
    training = Training(warmup=0.1)
    factors = [learning_rate_factor(step, 100, training) for step in range(100)]
    assert factors[9] == 1 and factors[0] == pytest.approx(0.1)
    assert all(a >= b for a, b in zip(factors[9:], factors[10:], strict=False))
    assert learning_rate_factor(100, 100, training) == pytest.approx(0)


def test_lower_layers_learn_more_slowly_with_layer_decay():
    learner = make_learner(create(SMALL, 32, ["square"], 0), squares(4, 0), Arm(), 0)
    names = {id(parameter): name for name, parameter in learner.student.vit.named_parameters()}
    optimizer = make_optimizer(learner, Training(learning_rate=1.0, layer_decay=0.5))
    peaks = {names[id(p)]: group["peak"] for group in optimizer.param_groups for p in group["params"]}
    assert set(peaks) == set(names.values())
    assert peaks["head.weight"] == 1.0
    assert peaks["blocks.1.attn.qkv.weight"] == 2 * peaks["blocks.0.attn.qkv.weight"]
    assert peaks["patch_embed.proj.weight"] == 0.5 * peaks["blocks.0.attn.qkv.weight"]


@pytest.mark.parametrize("layer_decay", [1.0, 0.5])
def test_matrices_are_decayed_and_biases_norms_and_tokens_are_not(layer_decay):
    learner = make_learner(create(SMALL, 32, ["square"], 0), squares(4, 0), Arm(), 0)
    names = {id(parameter): name for name, parameter in learner.student.vit.named_parameters()}
    optimizer = make_optimizer(learner, Training(weight_decay=0.1, layer_decay=layer_decay))
    decays = {names[id(p)]: group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    decayed = {name for name, decay in decays.items() if decay}
    assert {"patch_embed.proj.weight", "blocks.0.attn.qkv.weight", "blocks.1.mlp.fc1.weight"} < decayed
    assert not any(name.endswith("bias") or "norm" in name or name in ("cls_token", "pos_embed") for name in decayed)


def test_a_loss_that_is_not_finite_is_an_error():
    with pytest.raises(FloatingPointError, match=r"lower training\.learning_rate"):
        fit(Arm(), learning_rate=1e30, warmup=0.0)


def test_bf16_trains_and_keeps_weights_in_float32():
    trained = fit(Arm(), epochs=8, precision="bf16")
    assert all(tensor.dtype == torch.float32 for tensor in trained.student.state_dict().values())
    assert trained.history["validation_auroc"].max() > 0.9


def test_the_history_is_written_as_tensorboard_events_too(tmp_path):
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    events = Events(tmp_path)
    history = fit(epochs=2, events=events).history
    events.close()
    content = next(tmp_path.glob("events*")).read_bytes()
    assert len(history) == 2 and all(content.count(name.encode()) == 2 for name in ("validation_auroc", "logit_loss"))
