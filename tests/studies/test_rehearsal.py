"""What a user of real data does, on fabricated downloads: convert, check, plan, and the first jobs of every kind.

`make rehearsal` runs the study to its last job. Here the longest ones, most students and what is made of them, are left
out.
"""

import subprocess
import sys

from safetensors.torch import load_file

REHEARSAL = "--configfile=studies/rehearsal.yaml"
RESULTS = "results/rehearsal"


def mmpkd(folder, *arguments: str) -> str:
    process = subprocess.run([sys.executable, "-m", "mmpkd", *arguments], cwd=folder, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout[-3000:] + process.stderr[-3000:]
    return process.stdout


def test_the_papers_study_starts_on_downloads_in_the_real_layouts(checkout):
    folder = checkout.folder
    mmpkd(folder, "fabricate", "data/rehearsal", "studies/rehearsal.yaml", "--large", "1")
    place = "data/rehearsal/{}/Bio_ClinicalBERT"
    mmpkd(folder, "convert", place.format("downloads"), place.format("models"))
    told = mmpkd(folder, "check", "studies/rehearsal.yaml")
    assert "The study can run: 0 errors" in told
    assert "student vit_small_patch16_224.augreg_in21k_ft_in1k: 21.5 million parameters" in told
    assert checkout.planned(REHEARSAL, "all")["train_student"] == 2 * 3 * 2

    targets = [
        f"{RESULTS}/teachers/cxr/main/targets.npz",
        f"{RESULTS}/images/vindr_cxr/shard0/geometry.parquet",
        f"{RESULTS}/images/vindr_mammo/shard0/geometry.parquet",
        f"{RESULTS}/students/mammography/mmpkd/seed0/model.safetensors",
    ]
    process = checkout.run(*targets, REHEARSAL)
    assert process.returncode == 0, process.stdout[-4000:]
    weights = load_file(folder / targets[-1])
    assert sum(tensor.numel() for tensor in weights.values()) == 21_470_211, "ViT-S/16 of one channel and three labels"
    first = load_file(folder / f"{RESULTS}/students/backbone/model.safetensors")
    assert (weights["pos_embed"] - first["pos_embed"]).abs().max() > 0, "it was trained"
