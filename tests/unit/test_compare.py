"""A run against a reference: what counts as reproduced, as scatter of seeds, and as different."""

import pytest

from mmpkd.cli import main
from mmpkd.provenance.compare import DIFFERENT, REPRODUCED, SCATTER, as_text, compare, read_reference
from mmpkd.provenance.record import RecordError


def facts(verdict="supported", estimate=0.2, by_seed=(0.3, 0.4, 0.5)):
    """One claim with the interval 0.1 to 0.3, and one arm in one cell."""
    return {
        "study": "s",
        "score": "average_precision of rollout",
        "claims": [
            {"claim": "c", "title": "A gain", "verdict": verdict, "estimate": estimate, "low": 0.1, "high": 0.3}
        ],
        "scores": [{"domain": "d", "cohort": "c", "arm": "a", "by_seed": list(by_seed)}],
    }


def outcomes(run):
    return [line.outcome for line in compare(run, facts())]


def test_the_same_to_three_decimals_is_reproduced():
    assert outcomes(facts()) == [REPRODUCED, REPRODUCED]
    assert outcomes(facts(estimate=0.2004, by_seed=(0.3004, 0.4, 0.5))) == [REPRODUCED, REPRODUCED]


@pytest.mark.parametrize(("estimate", "outcome"), [(0.29, SCATTER), (0.31, DIFFERENT), (0.09, DIFFERENT)])
def test_a_contrast_scatters_within_the_interval(estimate, outcome):
    assert outcomes(facts(estimate=estimate))[0] == outcome


def test_another_verdict_is_different_whatever_the_contrast():
    assert outcomes(facts(verdict="inconclusive"))[0] == DIFFERENT


# standard deviation 0.1 of three seeds each: the standard error of the difference is 0.1 sqrt(2/3) = 0.0816
@pytest.mark.parametrize(("shift", "outcome"), [(0.16, SCATTER), (0.17, DIFFERENT)])
def test_a_mean_scatters_within_two_standard_errors(shift, outcome):
    assert outcomes(facts(by_seed=(0.3 + shift, 0.4 + shift, 0.5 + shift)))[1] == outcome


def test_one_seed_each_cannot_explain_a_difference():
    run, known = facts(by_seed=(0.3,)), facts(by_seed=(0.4,))
    assert compare(run, known)[1].outcome == DIFFERENT


def test_what_is_missing_is_different():
    run = {**facts(), "claims": [], "scores": []}
    lines = compare(run, facts())
    assert [line.outcome for line in lines] == [DIFFERENT, DIFFERENT]
    assert as_text(lines).splitlines()[-1] == "2 compared: 0 reproduced, 0 within the scatter of seeds, 2 different"


def test_another_score_is_refused():
    with pytest.raises(RecordError, match="average_precision of rollout, the run pointing_game of rollout"):
        compare({**facts(), "score": "pointing_game of rollout"}, facts())


def test_an_absent_and_a_broken_reference_are_reported(tmp_path):
    with pytest.raises(RecordError, match=r"absent.json: is not there; name .* --reference FILE"):
        read_reference("s", tmp_path / "absent.json")
    (tmp_path / "broken.json").write_text("[]")
    with pytest.raises(RecordError, match="broken.json: is no reference"):
        read_reference("s", tmp_path / "broken.json")
    with pytest.raises(RecordError, match="no_such_study.json: is not there"):
        read_reference("no_such_study", None)


def test_a_folder_without_a_run_is_reported(tmp_path, capsys):
    assert main(["compare", str(tmp_path)]) == 2 and "provenance.json" in capsys.readouterr().err
