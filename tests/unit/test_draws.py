"""The draws of `benchmarks.recovery` are new trees and new students, and make no more than the claims need."""

import pytest
import yaml

from benchmarks.recovery import STUDIES, overlay, read
from mmpkd.config.demo import DEMO
from mmpkd.config.layers import load_layers

OWN = 100  # the studies' own seeds, of students and of trees, lie below


@pytest.fixture
def drawn(tmp_path):
    def load(draw: int, study: str):
        file = tmp_path / f"{study}{draw}.yaml"
        file.write_text(yaml.safe_dump(overlay(draw, study)))
        return load_layers([*STUDIES[study], file]).study

    return load


def seeds_of(study) -> list[int]:
    return [*study.seeds, *(cohort.phantom.seed for cohort in study.cohorts.values())]


def test_no_two_draws_share_a_seed_and_none_is_a_studys_own(drawn):
    seeds = [seed for draw in range(3) for seed in seeds_of(drawn(draw, "demo"))]
    assert len(set(seeds)) == len(seeds) == 3 * (len(DEMO.seeds) + len(DEMO.cohorts)) and min(seeds) >= OWN


@pytest.mark.parametrize("study", STUDIES)
def test_a_draw_tests_the_claims_of_its_study(drawn, study):
    found = drawn(0, study)
    assert found.evaluation.score() == DEMO.evaluation.score() and found.training == DEMO.training
    # what the first weights, made once, depend on
    assert (found.student, found.imaging) == (DEMO.student, DEMO.imaging)
    assert list(found.arms) == [found.design.reference, found.design.primary]
    errors = [found.cohorts[domain.training].phantom.habit.errors for domain in found.domains.values()]
    assert all(errors) == (study == "demo") and any(errors) == (study == "demo")
    known = {name: claim.known for name, claim in found.claims.items() if claim.known}
    answer = "gain" if study == "demo" else "no_gain"
    assert known == {"in_domain_cxr": answer, "in_domain_mammography": answer}


def test_the_rows_of_the_null_study_keep_its_name(tmp_path):
    (tmp_path / "claims.csv").write_text("draw,study,estimate\n0,demo,0.2\n0,null,\n")
    rows = read(tmp_path / "claims.csv")
    assert rows["study"].tolist() == ["demo", "null"] and rows["estimate"].isna().tolist() == [False, True]
