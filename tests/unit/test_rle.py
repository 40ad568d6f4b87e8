"""Run lengths in COCO's format, against texts that pycocotools 2.0.11 wrote."""

import numpy as np
import pytest

from mmpkd.cohorts.rois import RunLengths


def shapes():
    """A mask of four parts with a run of one pixel; a frame with two holes, the runs of which shrink and grow."""
    parts = np.zeros((7, 9), dtype=bool)
    parts[1:5, 2:4] = parts[6, 5] = parts[0, 8] = parts[2:7, 7] = True
    frame = np.zeros((60, 50), dtype=bool)
    frame[10:50, 5:45] = True
    frame[20:30, 20:30] = frame[33, 40] = False
    return parts, frame


PARTS, FRAME = shapes()
GOLDEN = [
    (PARTS, "?430<MJ5M"),
    (
        FRAME,
        "f9X1d00000000000000000000000000000ROF::FF::FF::FF::FF::FF::FF::FF::FF::FF::d00000000000000000000_O]OIc0h0000000R9",
    ),
    (np.ones((3, 2), dtype=bool), "06"),
    (np.zeros((2320, 2828), dtype=bool), "PVWX6"),  # as CheXlocalize writes a finding that is not there
    (np.zeros((2022, 2021), dtype=bool), "nefl3"),
]


@pytest.mark.parametrize(("mask", "counts"), GOLDEN)
def test_masks_are_those_that_were_encoded(mask, counts):
    decoded = RunLengths.from_coco({"size": list(mask.shape), "counts": counts})
    np.testing.assert_array_equal(decoded.mask(), mask)
    assert decoded.mask().dtype == bool and decoded.area == mask.sum()
    encoded = RunLengths.from_mask(mask)
    np.testing.assert_array_equal(encoded.runs, decoded.runs)
    np.testing.assert_array_equal(RunLengths.from_coco(encoded.to_coco()).mask(), mask)


def test_runs_may_be_listed():
    listed = RunLengths.from_coco({"size": [2, 3], "counts": [1, 2, 3]})
    np.testing.assert_array_equal(listed.mask(), [[False, True, False], [True, False, False]])


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        ({"size": [7, 8], "counts": "?430<MJ5M"}, "do not fit"),
        ({"size": [7, 9], "counts": "?430<MJ5"}, "do not fit"),
        ({"size": [7, 9], "counts": "?430<MJ5Mf"}, "end within"),
        ({"size": [7, 9], "counts": "?430 MJ5M"}, "character"),
        ({"size": [2, 3], "counts": [7, -1]}, "do not fit"),
        ({"size": [2, 3]}, "without size or counts"),
        ({"size": 6, "counts": [6]}, "without size or counts"),
        ({"size": [-2, -3], "counts": [6]}, "do not fit"),
        ([], "without size or counts"),
    ],
)
def test_what_is_no_mask_is_refused(mask, reason):
    with pytest.raises(ValueError, match=reason):
        RunLengths.from_coco(mask)
