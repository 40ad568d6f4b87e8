"""How often are the known answers recovered, and how often does the null study claim a gain, over new trees and seeds?

python -m benchmarks.recovery --draws 10

Each draw is the demo and the null study with phantom trees and student seeds of its own, none of them the studies' own.
Only what the verdicts need is made: no arm of shuffled teachers, no probe, no second score. The first weights come from
generic shapes, which no seed of a draw changes, so they are made once. `results/recovery/claims.csv` has a row per
draw, study and in-domain claim; a draw that is finished is not made again.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import yaml

from mmpkd.config.demo import DEMO
from mmpkd.results import Results

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "results" / "recovery"
STUDIES = {"demo": [], "null": ["studies/null.yaml"]}
CLAIMS = ["in_domain_cxr", "in_domain_mammography"]
COLUMNS = ["claim", "estimate", "low", "high", "p", "p_holm", "verdict", "recovered", "n_seeds", "n_patients"]
FIRST_SEED, FIRST_TREE = 200, 2000  # of the first draw; every draw has ten of each


def overlay(draw: int, study: str) -> dict:
    """What a draw changes of a study: every seed, and no more scores than the claims are made of."""
    trees = {name: {"phantom": {"seed": FIRST_TREE + 10 * draw + k}} for k, name in enumerate(DEMO.cohorts)}
    return {
        "study": f"recovery_{study}_{draw}",
        "seeds": [FIRST_SEED + 10 * draw + k for k in range(len(DEMO.seeds))],
        "cohorts": trees,
        "arms": {"shuffled": None},
        "design": {"shuffled": None},
        "evaluation": {"methods": DEMO.evaluation.methods[:1], "metrics": [DEMO.evaluation.metric], "probe": None},
    }


def run(draw: int, study: str, cores: int) -> pd.DataFrame:
    """The rows of the in-domain claims of one draw; its trees, students and maps are removed."""
    settings = overlay(draw, study)
    file = FOLDER / f"{settings['study']}.yaml"
    file.write_text(yaml.safe_dump(settings))
    results = ROOT / "results" / settings["study"]
    first_weights = Path(Results(str(results)).backbone["model"]).parent
    if (FOLDER / "backbone").exists():
        shutil.copytree(FOLDER / "backbone", first_weights, dirs_exist_ok=True)
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--configfile", *STUDIES[study], str(file)]
    table = str((results / "tables/claims.csv").relative_to(ROOT))
    subprocess.run([*command, "--", table], check=True, cwd=ROOT)
    claims = pd.read_csv(results / "tables/claims.csv")
    if not (FOLDER / "backbone").exists():
        shutil.copytree(first_weights, FOLDER / "backbone")
    shutil.rmtree(results)
    return claims.loc[claims["claim"].isin(CLAIMS), COLUMNS].assign(draw=draw, study=study)


def read(table: Path) -> pd.DataFrame:
    """The rows so far; the name of the study null is no missing value."""
    return pd.read_csv(table, keep_default_na=False, na_values=[""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    table = FOLDER / "claims.csv"
    for draw in range(arguments.draws):
        for study in STUDIES:
            known = read(table) if table.exists() else pd.DataFrame(columns=["draw", "study"])
            if not ((known["draw"] == draw) & (known["study"] == study)).any():
                rows = pd.concat([known, run(draw, study, arguments.cores)], ignore_index=True)
                rows.to_csv(table, index=False, float_format="%.6g")
    rows = read(table)
    planted, null = rows[rows["study"] == "demo"], rows[rows["study"] == "null"]
    both = planted.groupby("draw")["recovered"].all()
    print(rows.to_string())
    print(f"demo: both known answers recovered in {both.sum()} of {len(both)} draws")
    print(f"null: {(null['low'] > 0).sum()} of {len(null)} claims with an interval above zero, ", end="")
    print(f"{(null['verdict'] == 'contradicted').sum()} above the margin, {null['recovered'].sum()} recovered")


if __name__ == "__main__":
    main()
