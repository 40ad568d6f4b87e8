"""A Slurm cluster of one node on this machine, with pretended GPUs, for the length of a test session."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "squeue", "scontrol", "scancel")
# Inside a job, the Snakemake plugin drops SLURM_CONF before it calls srun, which then looks here.
SYSTEM_CONF = Path("/etc/slurm/slurm.conf")
# Slurm needs one device file per GPU; nothing opens these.
PRETENDED_GPUS = ("/dev/null", "/dev/zero")

CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CryptoType=crypto/munge
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
ProctrackType=proctrack/linuxproc
KillWait=2
TaskPlugin=task/none
TaskProlog={folder}/task_prolog
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_min_interval=0
MpiDefault=none
SwitchType=switch/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
# Without cgroups it is Slurm itself that samples the memory of a job and kills it.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
MinJobAge=3600
ReturnToService=0
PropagatePrioProcess=1
MailProg=/bin/true
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""

# Runs in the environment of each task: which GPU Slurm gave it.
TASK_PROLOG = '#!/bin/sh\necho "$SLURM_JOB_ID ${{CUDA_VISIBLE_DEVICES:-none}}" >> {folder}/devices\n'


def missing() -> str | None:
    """Why a cluster cannot be started here; None where it can."""
    if absent := [program for program in PROGRAMS if shutil.which(program) is None]:
        return f"not installed: {', '.join(absent)} (Debian: slurmctld slurmd slurm-client munge)"
    if os.geteuid() != 0:
        return "slurmd needs root"
    if SYSTEM_CONF.exists():
        return f"{SYSTEM_CONF} is there: another cluster is configured, or a session that was killed left its link"
    return None


@dataclass
class Cluster:
    """Daemons below `folder`; use it as a context manager.

    Raises:
        RuntimeError: a daemon ended, or the node was not ready in time; with the end of its log.
    """

    folder: Path
    cpus: int
    memory_mb: int
    daemons: dict[str, subprocess.Popen] = field(default_factory=dict)

    def __enter__(self) -> "Cluster":
        try:
            self._configure()
            self._start_munge()
            self._start("slurmctld", "slurmctld", "-D", "-f", self.conf)
            self._start("slurmd", "slurmd", "-D", "-f", self.conf)
            self.wait_until(lambda: "idle" in self.ask("sinfo", "--noheader", "--format=%T"), "the node to be idle")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        try:
            if "slurmd" in self.daemons:
                self.ask("scancel", "--user=root")
                self.wait_until(lambda: not self.ask("squeue", "--noheader"), "the jobs to end")
            for daemon in reversed(self.daemons.values()):
                daemon.terminate()
                daemon.wait(30)
        finally:
            SYSTEM_CONF.unlink(missing_ok=True)
            self._kill_what_is_left()

    @property
    def conf(self) -> Path:
        return self.folder / "slurm.conf"

    @property
    def node(self) -> str:
        return socket.gethostname().partition(".")[0]

    @property
    def environment(self) -> dict[str, str]:
        """What programs need to speak to this cluster and to no other."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_"))}
        return {**kept, "SLURM_CONF": str(self.conf)}

    def ask(self, *command: str) -> str:
        """What a Slurm command prints; empty when it fails."""
        return subprocess.run(command, env=self.environment, capture_output=True, text=True).stdout

    def set_node(self, state: str) -> None:
        """An administrator's `scontrol update`: state `down` or `resume`."""
        command = ["scontrol", "update", f"nodename={self.node}", f"state={state}", "reason=test"]
        subprocess.run(command, env=self.environment, check=True)

    def jobs(self) -> list[dict[str, str]]:
        """Every job there has been, as `scontrol show job` has it, in the order of submission."""
        records = self.ask("scontrol", "--oneliner", "show", "job").splitlines()
        jobs = [dict(word.partition("=")[::2] for word in record.split()) for record in records]
        return sorted((job for job in jobs if "JobId" in job), key=lambda job: int(job["JobId"]))

    def devices(self) -> dict[str, str]:
        """For each job number the value of CUDA_VISIBLE_DEVICES in its tasks."""
        return dict(line.split() for line in (self.folder / "devices").read_text().splitlines())

    def _configure(self) -> None:
        for name in ("state", "spool", "log"):
            (self.folder / name).mkdir(parents=True)
        self.folder.chmod(0o755)
        ports = {"controller_port": _free_port(), "node_port": _free_port()}
        size = {"cpus": self.cpus, "memory_mb": self.memory_mb, "gpus": len(PRETENDED_GPUS)}
        self.conf.write_text(CONF.format(folder=self.folder, host=self.node, **ports, **size))
        gpus = "".join(f"Name=gpu File={file}\n" for file in PRETENDED_GPUS)
        (self.folder / "gres.conf").write_text(gpus)
        prolog = self.folder / "task_prolog"
        prolog.write_text(TASK_PROLOG.format(folder=self.folder))
        prolog.chmod(0o755)
        SYSTEM_CONF.parent.mkdir(exist_ok=True)
        SYSTEM_CONF.unlink(missing_ok=True)  # a link of a session that was killed
        SYSTEM_CONF.symlink_to(self.conf)

    def _kill_what_is_left(self) -> None:
        """Without cgroups, processes of jobs on a node that was set down outlive them."""
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                environment = process.environ()
                if environment.get("SLURM_CONF") == str(self.conf) and "SLURM_JOB_ID" in environment:
                    process.kill()

    def _start_munge(self) -> None:
        key, files = self.folder / "munge.key", {}
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        for name in ("socket", "pid-file", "log-file", "seed-file"):
            files[name] = f"--{name}={self.folder}/munge.{name.partition('-')[0]}"
        self._start("munged", "munged", "--foreground", "--force", f"--key-file={key}", *files.values())
        self.wait_until((self.folder / "munge.socket").exists, "munge")

    def _start(self, name: str, *command) -> None:
        with (self.folder / "log" / f"{name}.log").open("wb") as log:
            self.daemons[name] = subprocess.Popen(command, stdout=log, stderr=log, env=self.environment)

    def wait_until(self, condition, what: str) -> None:
        """Returns as soon as `condition()` is true.

        Raises:
            RuntimeError: it was not within two minutes, or a daemon ended.
        """
        for _ in range(480):
            if condition():
                return
            if any(daemon.poll() is not None for daemon in self.daemons.values()):
                break
            time.sleep(0.25)
        logs = "\n".join(f"{log.name}: {log.read_text()[-2000:]}" for log in (self.folder / "log").iterdir())
        raise RuntimeError(f"waited in vain for {what}\n{logs}")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


if __name__ == "__main__":
    if reason := missing():
        sys.exit(reason)
    with Cluster(Path(sys.argv[1]).resolve(), cpus=8, memory_mb=64000) as started:
        print(f"export SLURM_CONF={started.conf}", flush=True)
        signal.pause()
