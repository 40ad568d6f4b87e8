"""A run against a reference: what counts as reproduced, as scatter of seeds, and as different."""

import numpy as np
import pytest

from mmpkd.cli import main
from mmpkd.provenance.compare import DIFFERENT, REPRODUCED, SCATTER, as_text, compare, read_reference
from mmpkd.provenance.record import RecordError


def facts(verdict="supported", estimate=0.2, by_seed=(0.3, 0.4, 0.5)):
    """One claim with an interval of 0.1 to both sides, and one arm in one cell."""
    interval = {"low": estimate - 0.1, "high": estimate + 0.1}
    return {
        "study": "s",
        "score": "average_precision of rollout",
        "claims": [{"claim": "c", "title": "A gain", "verdict": verdict, "estimate": estimate, **interval}],
        "scores": [{"domain": "d", "cohort": "c", "arm": "a", "by_seed": list(by_seed)}],
    }


def outcomes(run):
    return [line.outcome for line in compare(run, facts())]


def test_the_same_to_three_decimals_is_reproduced():
    assert outcomes(facts()) == [REPRODUCED, REPRODUCED]
    assert outcomes(facts(estimate=0.2004, by_seed=(0.3004, 0.4, 0.5))) == [REPRODUCED, REPRODUCED]


# the reference's interval is 0.1 to 0.3, and the run's as wide
@pytest.mark.parametrize(
    ("estimate", "outcome"), [(0.39, SCATTER), (0.41, DIFFERENT), (0.01, SCATTER), (-0.01, DIFFERENT)]
)
def test_a_contrast_scatters_while_the_intervals_overlap(estimate, outcome):
    assert outcomes(facts(estimate=estimate))[0] == outcome


def test_another_verdict_is_different_whatever_the_contrast():
    assert outcomes(facts(verdict="inconclusive"))[0] == DIFFERENT


# Standard deviation 0.1 of three seeds each: the standard error of the difference is 0.1 sqrt(2/3) = 0.0816, and the
# quantile of Student's t with 4 degrees of freedom 2.776 for one score, 3.495 for two (the tables of any textbook).
@pytest.mark.parametrize(
    ("scores", "shift", "outcome"),
    [(1, 0.226, SCATTER), (1, 0.227, DIFFERENT), (2, 0.285, SCATTER), (2, 0.286, DIFFERENT)],
)
def test_a_mean_scatters_as_students_t_says_for_all_scores_together(scores, shift, outcome):
    run, known = facts(by_seed=(0.3 + shift, 0.4 + shift, 0.5 + shift)), facts()
    for one in (run, known):
        one["scores"] = [{**one["scores"][0], "arm": f"a{number}"} for number in range(scores)]
    assert [line.outcome for line in compare(run, known)[1:]] == [outcome] * scores


def test_runs_of_other_seeds_are_called_different_in_one_of_twenty():
    """24 scores of 5 seeds each, as in the demo; of 1,000 pairs 5 % are 50, with a standard deviation of 7."""
    rng, different = np.random.default_rng(0), 0
    for _ in range(1000):
        one, other = (
            {
                **facts(),
                "scores": [
                    {"domain": "d", "cohort": "c", "arm": f"a{k}", "by_seed": row} for k, row in enumerate(all_rows)
                ],
            }
            for all_rows in rng.normal(0.3, 0.05, (2, 24, 5)).tolist()
        )
        different += any(line.outcome == DIFFERENT for line in compare(one, other))
    assert 25 <= different <= 75


def test_a_run_of_one_seed_is_judged_by_the_scatter_of_the_other():
    # standard error 0.1 sqrt(1 + 1/3) = 0.1155, 2 degrees of freedom: 4.303 of them are 0.497
    assert compare(facts(by_seed=(0.89,)), facts())[1].outcome == SCATTER
    assert compare(facts(by_seed=(0.91,)), facts())[1].outcome == DIFFERENT


def test_one_seed_each_cannot_explain_a_difference():
    run, known = facts(by_seed=(0.3,)), facts(by_seed=(0.4,))
    assert compare(run, known)[1].outcome == DIFFERENT


def test_lines_show_intervals_and_names():
    name = "MMPKD, chest radiographs on MIMIC-CXR"
    claim, score = compare(facts(), facts(), lambda *row: name if row == ("d", "c", "a") else "")
    assert (claim.reference, claim.name) == ("supported 0.200 [0.100, 0.300]", "A gain")
    assert (score.reference, score.run, score.name) == ("0.400", "0.400", name)


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
