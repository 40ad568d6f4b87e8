"""Every study that is shipped: what it trains can be built, fits its first weights, and is no other study's."""

from pathlib import Path

import pytest
import torch

from mmpkd.check.judge import fits_teachers, trains_students
from mmpkd.check.models import describe_student, find_first_weights, on_meta
from mmpkd.config.demo import DEMO
from mmpkd.config.document import document
from mmpkd.config.layers import load_layers
from mmpkd.config.students import Backbone, StudentConfig
from mmpkd.config.teachers import Encoder, TextTeacher
from mmpkd.config.tuned import left_open
from mmpkd.rehearsal import write_encoder_download, write_first_weights
from mmpkd.students.first_weights import FirstWeights, fit_weights, from_file
from mmpkd.students.vision import timm
from mmpkd.students.vit import create
from mmpkd.teachers.encoder_conversion import convert
from mmpkd.teachers.encoder_loading import load_encoder

ROOT = Path(__file__).parents[2]
STUDIES = {path.stem: [path] for path in sorted((ROOT / "studies").glob("*.yaml"))}

VIT_SMALL = "vit_small_patch16_224.augreg_in21k_ft_in1k"


@pytest.fixture(params=STUDIES)
def layers(request):
    return load_layers(STUDIES[request.param])


def is_real(layers) -> bool:
    return any(layers.study.cohorts[name].root is not None for name in layers.study.domain_of)


def test_every_shipped_study_is_here():
    assert {"paper", "open_i", "cbis_tables", "arms", "rehearsal", "smoke", "pilot"} <= set(STUDIES)
    real = {name for name, files in STUDIES.items() if is_real(load_layers(files))}
    assert {"paper", "open_i", "cbis_tables", "rehearsal", "paper_arms"} <= real


def test_a_study_of_real_data_takes_nothing_from_the_demo(layers, tmp_path):
    """With other values in config.yaml it is the same study, and it states every tuned setting itself."""
    if not is_real(layers):
        pytest.skip("a study of phantoms")
    other = DEMO.model_copy(
        update={
            "student": StudentConfig(
                model="deit_tiny_patch16_224", mean=0.1, std=0.9, backbone=Backbone(source="none")
            ),
            "training": DEMO.training.model_copy(update=dict.fromkeys(("epochs", "batch_size", "shift"), 77)),
            "evaluation": DEMO.evaluation.model_copy(update={"methods": ["value_norm"], "resamples": 777}),
            "imaging": DEMO.imaging.model_copy(update={"size": 64}),
        }
    )
    base = tmp_path / "config.yaml"
    base.write_text(document(other))
    assert load_layers(layers.files, base=base).study == layers.study
    assert left_open(layers, fits_teachers(layers.study), trains_students(layers.study)) == {}


@pytest.mark.parametrize("name", ["arms", "paper_arms", "rehearsal_arms"])
def test_the_baseline_with_twice_the_epochs_has_twice_those_of_its_domain(name):
    study = load_layers(STUDIES[name]).study
    longer = {domain: arm for arm in study.arms if arm.startswith("longer") for domain in study.domains_of(arm)}
    assert set(longer) == set(study.domains)
    for domain, arm in longer.items():
        usual = study.training_of(domain, "baseline")
        assert study.training_of(domain, arm) == usual.model_copy(update={"epochs": 2 * usual.epochs})


def test_the_student_is_built_and_its_first_weights_fit(layers, tmp_path):
    study = layers.study
    if not trains_students(study):
        pytest.skip("no student is trained")
    labels = max(len(domain.labels) for domain in study.domains.values())
    facts = describe_student(study.student, study.training, study.imaging.size, labels)
    assert facts.error is None and facts.parameters > 0 and facts.training_bytes > 16 * facts.parameters
    if study.student.backbone.source == "file":
        path = tmp_path / "weights.safetensors"
        write_first_weights(study.student, path, seed=0)
        backbone = study.student.backbone.model_copy(update={"path": path})
        student = study.student.model_copy(update={"backbone": backbone})
        assert find_first_weights(student, study.imaging.size).state == "at hand"
    elif study.student.backbone.source == "timm":
        assert find_first_weights(study.student, study.imaging.size).state in ("at hand", "needs network")
    if is_real(layers):
        model = timm.create_model(
            study.student.model,
            in_chans=1,
            num_classes=labels,
            img_size=study.imaging.size,
            **study.student.arguments,
        )
        assert facts.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_its_text_encoders_load(layers, tmp_path):
    if not fits_teachers(layers.study):
        pytest.skip("no teacher is fitted")
    encoders = {t.encoder for t in layers.study.teachers.values() if isinstance(t, TextTeacher)}
    for encoder in encoders:
        if encoder.source == "folder":
            download = tmp_path / "download" / Path(encoder.name).name
            write_encoder_download(download, seed=0)
            convert(download, tmp_path / "encoder")
            encoder = encoder.model_copy(update={"name": str(tmp_path / "encoder")})
        assert load_encoder(encoder).dimensions > 0


def test_a_study_whose_tuning_leaks_is_reported(tmp_path):
    """An overlay of the demo with real data: every tuned key that it leaves open is named, with whose value it has."""
    overlay = tmp_path / "mine.yaml"
    overlay.write_text(
        "study: mine\ncohorts: {mimic_cxr: {root: /data/x}}\n"
        "student: {model: vit_small_patch16_224, backbone: {source: timm}}\n"
        "imaging: {size: 224}\ntraining: {epochs: 3, learning_rate: 1.0e-4}\n"
    )
    layers = load_layers([overlay])
    found = left_open(layers, teachers=True, students=True)
    assert "ema" in found["training"] and "warmup" in found["training"] and "epochs" not in found["training"]
    assert found["student"] == ["mean", "std"]
    assert found["imaging"] == ["window"]
    assert found["cohorts.mimic_cxr"] == ["rejected_limit"] and "cohorts.cbis_ddsm" not in found
    assert {"penalty", "folds"} <= set(found["domains.cxr.teacher"])
    assert left_open(load_layers([]), True, True) == {}, "the demo may be tuned to itself"


def test_the_papers_student_is_vit_small_with_every_tensor_of_timm():
    study = load_layers(STUDIES["paper"]).study
    assert study.student.model == VIT_SMALL and study.student.arguments == {} and study.imaging.size == 224
    student = create(study.student, 224, ["a"], seed=1)
    torch.manual_seed(2)
    published = timm.create_model(VIT_SMALL)
    fit_weights(student, FirstWeights("timm", published.state_dict(), [0.5] * 3, [0.5] * 3), study.student.backbone)
    own, theirs = student.vit.state_dict(), published.state_dict()
    folded = "patch_embed.proj.weight"
    assert torch.equal(own["pos_embed"], theirs["pos_embed"]) and own["pos_embed"].shape == (1, 197, 384)
    assert torch.allclose(own[folded], theirs[folded].sum(dim=1, keepdim=True), atol=1e-6)
    others = [name for name in theirs if not name.startswith("head.") and name != folded]
    assert len(others) == 149 and all(torch.equal(own[name], theirs[name]) for name in others)


def test_the_demos_arguments_in_the_papers_student_are_found_by_the_check(tmp_path):
    """Overlays were once merged key by key, so that ViT-S/16 kept the demo's `mlp_ratio` and `qk_norm`."""
    path = tmp_path / "weights.safetensors"
    write_first_weights(StudentConfig(model=VIT_SMALL), path, seed=0)
    leaked = DEMO.student.arguments | {"patch_size": 16, "embed_dim": 384, "depth": 12, "num_heads": 6}
    for backbone in (Backbone(source="file", path=path), Backbone(source="timm")):
        facts = find_first_weights(StudentConfig(model=VIT_SMALL, arguments=leaked, backbone=backbone), 224)
        assert facts.state == "does not fit" and "blocks.0.attn.q_norm.weight missing" in facts.message
    with pytest.raises(ValueError, match="does not fit"):
        fit_weights(
            on_meta(StudentConfig(model=VIT_SMALL, arguments=leaked), 224, 1), from_file(path), Backbone(source="timm")
        )


def test_memory_of_a_step_grows_with_batch_and_image():
    small = describe_student(DEMO.student, DEMO.training, 56, 3)
    double = describe_student(DEMO.student, DEMO.training.model_copy(update={"batch_size": 64}), 56, 3)
    weights = 5 * 4 * small.parameters  # with the moving average
    assert double.training_bytes - weights == 2 * (small.training_bytes - weights)
    assert describe_student(DEMO.student, DEMO.training, 112, 3).training_bytes > 3 * small.training_bytes
    shared = DEMO.training.model_copy(update={"processes": 2})
    assert describe_student(DEMO.student, shared, 56, 3).training_bytes < small.training_bytes


def test_a_package_encoder_needs_no_name():
    assert load_encoder(Encoder()).dimensions == 384
