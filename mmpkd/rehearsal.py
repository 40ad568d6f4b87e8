"""Fabricates what a study of real data expects on the disk, so that it can be rehearsed before the data are there.

Every folder and file that the configuration names is written in the layout of the real download: data sets by the
phantom of their adapter, a transformer's first weights with random values under timm's names, and the download of a
small text encoder as its authors publish them, with the weights in a pickle, for `mmpkd convert`.
"""

from collections.abc import Iterator
from pathlib import Path

from mmpkd.config.cohorts import Cohort, Phantom
from mmpkd.config.students import StudentConfig
from mmpkd.config.study import ConfigError, Study
from mmpkd.config.teachers import TextTeacher
from mmpkd.files import atomic
from mmpkd.phantom.write import write_tree

PATIENTS = {"mimic_cxr": 36, "vindr_cxr": 10, "cbis_ddsm": 24, "vindr_mammo": 4, "open_i": 36, "nih_chestxray14": 10}
PATIENTS |= {"own": 80}
LABEL_NOISE = 0.1
# Parts of a tree that the real download brings in other folders: an adapter's name for the folder, and what lies there.
PARTS = {
    "mimic_cxr": {
        "tables": "mimic-cxr-2.*.csv*",
        "ms_cxr": "ms-cxr/*",
        "reports": "files/*/*/*.txt",
    },
    "cbis_ddsm": {"tables": "*_case_description_*.csv", "images": "CBIS-DDSM/*"},
    "open_i": {"tables": "indiana_projections.csv", "reports": "ecgen-radiology/*.xml"},
    "nih_chestxray14": {"tables": "*.csv"},
}
WITH_FOLDERS = {("mimic_cxr", "reports")}  # parts whose files keep the folders that they lie in
ENCODER = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}


def fabricate(study: Study, folder: Path, large: int, seed: int) -> Iterator[str]:
    """Writes what `study` names below `folder`; yields a line for each thing that it wrote.

    Args:
        study: the configuration; only its data sets with a root, its encoders in folders and its file of weights count.
        folder: everything is below it, so that no real data are touched.
        large: patients per data set whose images have real dimensions.
        seed: of everything that is drawn.

    Raises:
        ConfigError: the study names a place outside of `folder`, or one that is there already.
    """
    _refuse_places(study, folder)
    for number, name in enumerate(study.domain_of):
        cohort = study.cohorts[name]
        if cohort.root is not None:
            phantom = Phantom(
                patients=PATIENTS.get(cohort.adapter, 4), seed=seed + number, label_noise=LABEL_NOISE, large=large
            )
            write_tree(cohort.adapter, phantom, cohort.root)
            _move_parts(cohort, cohort.root)
            yield f"{cohort.root}: {phantom.patients} patients in the layout of {cohort.adapter}"
    for place in _encoders(study):
        target = folder / "downloads" / place.name
        write_encoder_download(target, seed)
        yield f"{target}: a text encoder as its authors publish one; `mmpkd convert {target} {place}` makes it usable"
    if study.student.backbone.path is not None:
        write_first_weights(study.student, study.student.backbone.path, seed)
        yield f"{study.student.backbone.path}: random first weights with the shapes of {study.student.model}"


def _encoders(study: Study) -> list[Path]:
    teachers = [teacher for teacher in study.teachers.values() if isinstance(teacher, TextTeacher)]
    names = [teacher.encoder.name for teacher in teachers if teacher.encoder.source == "folder"]
    return [Path(name) for name in dict.fromkeys(names) if name]


def _refuse_places(study: Study, folder: Path) -> None:
    cohorts = {f"cohorts.{name}": study.cohorts[name] for name in study.domain_of}
    places = {f"{key}.root": cohort.root for key, cohort in cohorts.items() if cohort.root is not None}
    for key, cohort in cohorts.items():
        places |= {f"{key}.folders.{part}": place for part, place in cohort.folders.items()}
    places |= {f"the encoder {place}": place for place in _encoders(study)}
    if study.student.backbone.path is not None:
        places["student.backbone.path"] = study.student.backbone.path
    for key, place in places.items():
        if not place.resolve().is_relative_to(folder.resolve()):
            raise ConfigError(f"{key}: {place} is not below {folder}; nothing is fabricated where real data may be")
        if place.exists():
            raise ConfigError(f"{key}: {place} is there already; remove {folder}, or choose another folder")


def _move_parts(cohort: Cohort, root: Path) -> None:
    """Moves what the configuration needs in folders of its own; paths below them are those of the real downloads."""
    for part, target in cohort.folders.items():
        pattern = PARTS[cohort.adapter][part]
        for path in sorted(root.glob(pattern)):
            with_folders = (cohort.adapter, part) in WITH_FOLDERS
            place = target / (path.relative_to(root) if with_folders else path.name)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.rename(place)
            if not any(path.parent.iterdir()):
                path.parent.rmdir()


def write_encoder_download(folder: Path, seed: int) -> None:
    """Writes a small BERT with random weights as its authors do: config.json, pytorch_model.bin and vocab.txt.

    Args:
        folder: that is created.
        seed: of the weights.
    """
    import torch

    from mmpkd.config.teachers import Encoder
    from mmpkd.teachers.encoder_loading import load_encoder

    vocabulary = load_encoder(Encoder()).tokenizer.get_vocab()
    from transformers import BertConfig, BertForMaskedLM

    folder.mkdir(parents=True)
    config = BertConfig(vocab_size=len(vocabulary), **ENCODER)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertForMaskedLM(config)
    config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    words = sorted(vocabulary, key=vocabulary.__getitem__)
    (folder / "vocab.txt").write_text("\n".join([*words, ""]), encoding="utf-8")


def write_first_weights(config: StudentConfig, path: Path, seed: int) -> None:
    """The tensors of timm's own model of that name, with random values: three channels, its own grid and head.

    Args:
        config: of the student.
        path: of the file.
        seed: of the weights.
    """
    import torch
    from safetensors.torch import save_file

    from mmpkd.students.vision import timm

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = timm.create_model(config.model)
    with atomic(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, temporary)
