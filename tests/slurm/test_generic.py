"""The profile of other schedulers; Slurm plays OpenPBS, and every option that the profile passes is read."""

import os
import subprocess
import sys

from tests.checkout import copy_repository
from tests.slurm.conftest import STUDY

QSUB = """\
#!/bin/sh
# -V -r n -j oe -o FOLDER -l select=1:ncpus=N:mem=Mmb:ngpus=G -l walltime=S SCRIPT
[ "$1 $2 $3 $4 $5 $6 $8 ${10}" = "-V -r n -j oe -o -l -l" ] || exit 64
select=$9
ncpus=$(expr "$select" : '.*:ncpus=\\([0-9]*\\):') || exit 64
mem=$(expr "$select" : '.*:mem=\\([0-9]*\\)mb:') || exit 64
shift 10
minutes=$(expr $(expr "$1" : 'walltime=\\([0-9]*\\)$') / 60) || exit 64
exec sbatch --parsable --output=/dev/null --cpus-per-task="$ncpus" --mem="$mem" --time="$minutes" "$2"
"""
QSTAT = """\
#!/bin/sh
job=$(scontrol show job "$3") || { echo "qstat: Unknown Job Id $3" >&2; exit 153; }
case $job in
*JobState=PENDING* | *JobState=RUNNING* | *JobState=COMPLETING*) echo "    job_state = R" ;;
*JobState=COMPLETED*) printf '    job_state = F\\n    Exit_status = 0\\n' ;;
*) printf '    job_state = F\\n    Exit_status = 271\\n' ;;
esac
"""
QDEL = '#!/bin/sh\nexec scancel "$@"\n'
TARGET = "results/slurm/cohorts/cbis_ddsm/images.parquet"


def test_a_job_that_was_deleted_is_submitted_again_with_more(cluster, tmp_path):
    before = {job["JobId"] for job in cluster.jobs()}
    workflow = copy_repository(tmp_path / "checkout")
    commands = tmp_path / "commands"
    commands.mkdir()
    for name, script in {"qsub": QSUB, "qstat": QSTAT, "qdel": QDEL}.items():
        (commands / name).write_text(script)
        (commands / name).chmod(0o755)
    environment = {**cluster.environment, "PATH": f"{commands}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    profiles = ["--profile", "profiles/slurm", "--workflow-profile", "profiles/generic", "--latency-wait=5"]
    command = [sys.executable, "-m", "snakemake", *profiles, *STUDY, TARGET]
    process = subprocess.Popen(
        command, cwd=workflow.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    cluster.wait_until(lambda: [job for job in cluster.jobs() if job["JobId"] not in before], "the first job")
    [first] = [job for job in cluster.jobs() if job["JobId"] not in before]
    subprocess.run([commands / "qdel", first["JobId"]], env=environment, check=True)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output[-4000:]
    assert (workflow.folder / TARGET).exists()
    jobs = [job for job in cluster.jobs() if job["JobId"] not in before]
    assert [job["JobState"] for job in jobs] == ["CANCELLED", "COMPLETED"]
    assert [job["MinMemoryNode"] for job in jobs] == ["8000M", "16000M"], "one group of two jobs, larger when retried"
    assert [job["TimeLimit"] for job in jobs] == ["01:30:00", "03:00:00"]
