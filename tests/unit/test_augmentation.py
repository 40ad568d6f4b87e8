"""What augmentation does to an image."""

import pytest
import torch

from mmpkd.config.students import Training
from mmpkd.students.augmentation import Draws, augment

STILL = Training(shift=0, contrast=0.0, brightness=0.0)


def draws(count: int, seed: int = 0, **changes) -> Draws:
    training = STILL.model_copy(update=changes)
    return Draws.of(count, training, torch.Generator().manual_seed(seed))


def pixels(count: int, size: int = 16) -> torch.Tensor:
    return torch.randint(0, 256, (count, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_without_augmentation_an_image_is_its_grey_values():
    images = pixels(3)
    torch.testing.assert_close(augment(images, draws(3)), images[:, None] / 255)


def test_an_image_is_shifted_by_whole_pixels_and_its_edges_are_repeated():
    images = torch.zeros(64, 16, 16, dtype=torch.uint8)
    images[:, 8, 8] = 255
    shifted = augment(images, draws(64, shift=3))
    assert (shifted.sum(dim=(1, 2, 3)) == 1).all()
    rows, columns = shifted[:, 0].amax(dim=2).argmax(dim=1), shifted[:, 0].amax(dim=1).argmax(dim=1)
    assert set(rows.tolist()) == set(columns.tolist()) == set(range(5, 12))
    assert not torch.equal(rows, columns)
    ramp = torch.arange(16, dtype=torch.uint8).expand(8, 16, 16)
    moved = Draws(torch.tensor([[0] * 8, [-3] * 8]), torch.zeros(8, dtype=bool), torch.ones(8), torch.zeros(8))
    assert (augment(ramp, moved)[0, 0, 0] * 255).round().tolist() == [0, 0, 0, 0, *range(1, 13)]


def test_a_mirrored_image_is_mirrored_left_to_right_alone():
    images = pixels(200)
    drawn = draws(200, flip=0.5)
    assert 60 < int(drawn.mirrored.sum()) < 140
    mirrored = augment(images, drawn)
    expected = torch.where(drawn.mirrored[:, None, None], images.flip(2), images) / 255
    torch.testing.assert_close(mirrored[:, 0], expected)


def test_contrast_keeps_the_mean_and_brightness_moves_it():
    images = (pixels(8) // 4 + 96).to(torch.uint8)  # far from black and white
    plain = augment(images, draws(8))
    contrast = augment(images, draws(8, contrast=0.2))
    torch.testing.assert_close(contrast.mean(dim=(1, 2, 3)), plain.mean(dim=(1, 2, 3)))
    assert not torch.allclose(contrast, plain)
    drawn = draws(8, brightness=0.1)
    torch.testing.assert_close(augment(images, drawn), plain + drawn.brightness[:, None, None, None])
    assert drawn.brightness.abs().max() <= 0.1


def test_grey_values_stay_in_range():
    strong = augment(pixels(8), draws(8, contrast=0.9, brightness=0.9))
    assert strong.min() >= 0 and strong.max() <= 1


@pytest.mark.parametrize("part", [slice(0, None, 2), slice(1, None, 2), slice(3, 5)])
def test_a_part_of_a_batch_is_augmented_as_in_the_whole(part):
    images, drawn = pixels(9), draws(9, shift=2, contrast=0.2, brightness=0.1, flip=0.5)
    assert torch.equal(augment(images[part], drawn[part]), augment(images, drawn)[part])
