"""Two runs that are apart are told so, in numbers and in words."""

import numpy as np
import pytest

from mmpkd.files import write_npz, write_text
from tests.faults.study import Study
from tests.repeatability.numbers import compared


def study(folder, auroc: float, verdict: str, maps: np.ndarray) -> Study:
    results = folder / "results/smoke"
    write_text(
        f"claim,auroc,verdict,minus\nin_domain,{auroc},{verdict},\ninteraction,,,shuffled\n",
        results / "tables/claims.csv",
    )
    write_text("rule,seconds\nall,3\n", results / "tables/runtime.csv")
    write_npz({"last_layer": maps}, results / "attention/cxr/baseline/seed0/mimic_cxr.npz")
    return Study(folder)


def test_the_same_run_is_nowhere_apart(tmp_path):
    maps = np.ones((2, 4, 4), np.float16)
    table = compared(study(tmp_path / "a", 0.9, "supported", maps), study(tmp_path / "b", 0.9, "supported", maps))
    assert not table["differ"].any() and not table["other words"].any()
    assert set(table["largest difference"]) == {"0.0e+00"}


def test_numbers_and_words_that_differ_are_counted(tmp_path):
    maps = np.ones((2, 4, 4), np.float16)
    other = maps.copy()
    other[1, 2, 3] = 1.5
    one, two = study(tmp_path / "a", 0.9, "supported", maps), study(tmp_path / "b", 0.85, "inconclusive", other)
    table = compared(one, two).set_index("files")
    of_maps, of_tables = table.loc["attention maps and logits"], table.loc["tables"]
    assert (of_maps["compared"], of_maps["differ"], of_maps["numbers"]) == (1, 1, 32)
    assert (of_maps["largest difference"], of_maps["of values up to"]) == ("5.0e-01", "1")
    assert (of_tables["compared"], of_tables["differ"], of_tables["other words"]) == (1, 1, 1)
    assert of_tables["largest difference"] == "5.0e-02"


def test_other_shapes_are_no_small_difference(tmp_path):
    one = study(tmp_path / "a", 0.9, "supported", np.ones((2, 4, 4)))
    with pytest.raises(ValueError, match="other form"):
        compared(one, study(tmp_path / "b", 0.9, "supported", np.ones((1, 4, 4))))
