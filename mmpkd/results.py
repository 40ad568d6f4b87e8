"""Where the files of a study lie: its results tree. No other module builds these paths, and none takes them apart."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CONTROL = "control"  # in place of a training domain: students that were never fine-tuned
FORMS = {"table": ("csv", "md", "tex"), "figure": ("pdf", "png")}


@dataclass(frozen=True)
class Results:
    """The tree below one folder; paths are strings, but those of files that were found there.

    An argument may be a wildcard of Snakemake, such as `{cohort}`: the path is then the pattern of a rule. Files that
    one job writes are a dictionary from the name of a rule's output to its path.

    Attributes:
        root: the folder, as `results/demo`.
    """

    root: str

    def log(self, rule: str, job: str) -> str:
        """Log of a job; it has the same place below `logs` as its receipt below `receipts`.

        Args:
            rule: of the workflow.
            job: which of its jobs, as a path.
        """
        return f"{self.root}/logs/{rule}/{job}.log"

    def benchmark(self, rule: str, job: str) -> str:
        """Seconds and memory of a job, as Snakemake writes them.

        Args:
            rule: of the workflow.
            job: which of its jobs, as a path.
        """
        return f"{self.benchmarks}/{rule}/{job}.tsv"

    @classmethod
    def of_log(cls, log: str | Path) -> tuple["Results", str]:
        """The tree that a job's log lies in, and the receipt of that job.

        Raises:
            ValueError: the log does not lie in a tree.
        """
        log = Path(log)
        for folder in log.parents:
            if folder.name == "logs":
                results = cls(str(folder.parent))
                return results, f"{results.receipts}/{log.relative_to(folder).with_suffix('.json')}"
        raise ValueError(f"{log}: not below a folder logs")

    @property
    def receipts(self) -> str:
        """Folder of the jobs' receipts."""
        return f"{self.root}/receipts"

    @property
    def benchmarks(self) -> str:
        """Folder of the jobs' benchmarks."""
        return f"{self.root}/benchmarks"

    def measured_jobs(self) -> Iterator[tuple[str, Path, Path]]:
        """Rule, benchmark and log of every job that has a benchmark, in the order of their paths."""
        for path in sorted(Path(self.benchmarks).glob("*/**/*.tsv")):
            rule, *job = path.relative_to(self.benchmarks).with_suffix("").parts
            yield rule, path, Path(self.log(rule, "/".join(job)))

    def phantom(self, cohort: str) -> dict[str, str]:
        """A fabricated download, what was drawn in it, and the twins of its scored images."""
        folder = f"{self.root}/phantom/{cohort}"
        return {"tree": f"{folder}/tree", "truth": f"{folder}/truth.parquet", "twins": f"{folder}/twins"}

    def cohort_folder(self, cohort: str) -> str:
        """Folder of a cohort's tables."""
        return f"{self.root}/cohorts/{cohort}"

    def cohort(self, cohort: str) -> dict[str, str]:
        """The four tables of a cohort, the records left out, and its facts."""
        folder = self.cohort_folder(cohort)
        tables = {name: f"{folder}/{name}.parquet" for name in ("images", "labels", "rois", "privileged")}
        return {**tables, "rejected": f"{folder}/rejected.csv", "facts": f"{folder}/cohort.json"}

    def shard_folder(self, cohort: str, shard: int | str) -> str:
        """Folder of one shard of a cohort's image store.

        Args:
            cohort: its key.
            shard: number, from 0, or a wildcard.
        """
        return f"{self.root}/images/{cohort}/shard{shard}"

    def shard(self, cohort: str, shard: int | str) -> dict[str, str]:
        """Images, geometry and ROI of one shard; `geometry` is written last.

        Args:
            cohort: its key.
            shard: number, from 0, or a wildcard.
        """
        return _store(self.shard_folder(cohort, shard))

    def twin_folder(self, cohort: str) -> str:
        """Folder of the image store of a phantom's twins."""
        return f"{self.root}/images/{cohort}/twins"

    def twins(self, cohort: str) -> dict[str, str]:
        """The twins of a phantom's scored images, and their markers in place of ROI."""
        return _store(self.twin_folder(cohort))

    def records(self, domain: str) -> str:
        """Privileged records of a domain."""
        return f"{self.root}/privileged/{domain}/records.parquet"

    def teacher(self, domain: str, teacher: str) -> dict[str, str]:
        """What a teacher says of the training records, how well it predicts, and its weights.

        Args:
            domain: of training.
            teacher: main, or the name of a variant.
        """
        folder = f"{self.root}/teachers/{domain}/{teacher}"
        return {
            "targets": f"{folder}/targets.npz",
            "predictions": f"{folder}/predictions.parquet",
            "model": f"{folder}/model.safetensors",
        }

    @property
    def encodings(self) -> str:
        """Folder of encoded texts; a cache."""
        return f"{self.root}/cache/encodings"

    @property
    def backbone(self) -> dict[str, str]:
        """The students' first weights, and how they were trained."""
        return _weights(f"{self.root}/students/backbone")

    def student(self, domain: str, arm: str, seed: int | str) -> dict[str, str]:
        """Weights and history of a student.

        Args:
            domain: of training.
            arm: its key.
            seed: or a wildcard.
        """
        return _weights(f"{self.root}/students/{domain}/{arm}/seed{seed}")

    def attention(self, group: str, member: str, seed: int | str, cohort: str) -> str:
        """Maps of a cohort's test images.

        Args:
            group: training domain, or `CONTROL`.
            member: arm, or the kind of control.
            seed: the student's.
            cohort: the images'.
        """
        return f"{self.root}/attention/{group}/{member}/seed{seed}/{cohort}.npz"

    def tuning(self, group: str, member: str, seed: int | str, cohort: str | None = None) -> str:
        """Maps of validation images, on which thresholds are tuned.

        Args:
            group: a domain, or `control`.
            member: an arm, or a control.
            seed: of the student.
            cohort: whose images; by default those of the training cohort.
        """
        place = f"{self.root}/attention/{group}/{member}/seed{seed}.validate"
        return f"{place}.npz" if cohort is None else f"{place}/{cohort}.npz"

    def twin_maps(self, domain: str, arm: str, seed: int | str) -> str:
        """Maps and logits of the twins of the scored images of the domain's cohorts.

        Args:
            domain: of training.
            arm: its key.
            seed: or a wildcard.
        """
        return f"{self.root}/attention/{domain}/{arm}/seed{seed}.twins.npz"

    def features(self, group: str, member: str, seed: int | str) -> str:
        """Class tokens that a linear probe is fitted on.

        Args:
            group: a training domain, or `control`.
            member: an arm, or a control.
            seed: or a wildcard.
        """
        return f"{self.root}/attention/{group}/{member}/seed{seed}.features.npz"

    def scores_of(self, domain: str, arm: str) -> str:
        """Scores of an arm's students.

        Args:
            domain: of training.
            arm: its key.
        """
        return f"{self.root}/evaluation/{domain}/{arm}.parquet"

    @property
    def scores_of_controls(self) -> str:
        """Scores of all controls."""
        return f"{self.root}/evaluation/{CONTROL}.parquet"

    def probe(self, group: str, member: str) -> str:
        """Scores of the linear probes of an arm's students, or of a control's.

        Args:
            group: a training domain, or `control`.
            member: an arm, or a control.
        """
        return f"{self.root}/evaluation/probe/{group}/{member}.parquet"

    @property
    def scores(self) -> str:
        """All scores in one long table."""
        return f"{self.root}/evaluation/scores.parquet"

    def output(self, kind: str, name: str) -> dict[str, str]:
        """A table or a figure in each of its forms, and its caption.

        Args:
            kind: table or figure.
            name: of the output.
        """
        path = f"{self.root}/{kind}s/{name}"
        return {**{form: f"{path}.{form}" for form in FORMS[kind]}, "caption": f"{path}.caption.txt"}

    def table(self, name: str) -> dict[str, str]:
        """One table in each of its forms."""
        return self.output("table", name)

    def figure(self, name: str) -> dict[str, str]:
        """One figure in each of its forms."""
        return self.output("figure", name)

    @property
    def folders_of_outputs(self) -> list[str]:
        """Folders that hold tables and figures, and nothing else."""
        return [f"{self.root}/{kind}s" for kind in FORMS]

    @property
    def report(self) -> str:
        """The report."""
        return f"{self.root}/report.html"

    @property
    def record(self) -> dict[str, str]:
        """What a finished run came from and what it made, twice."""
        return {"record": f"{self.root}/provenance.json", "crate": f"{self.root}/ro-crate-metadata.json"}

    def workflow(self, path: str) -> str:
        """Copy of a file of the workflow."""
        return f"{self.root}/workflow/{path}"


def _store(folder: str) -> dict[str, str]:
    return {
        "pixels": f"{folder}/pixels.npy",
        "geometry": f"{folder}/geometry.parquet",
        "rois": f"{folder}/rois.npy",
        "roi_table": f"{folder}/rois.parquet",
        "rejected": f"{folder}/rejected.csv",
    }


def _weights(folder: str) -> dict[str, str]:
    return {"model": f"{folder}/model.safetensors", "history": f"{folder}/history.csv"}
