"""The default study, `demo`, on phantom cohorts: `config.yaml` is made from it.

Everything that was tuned for images of 56 pixels and a transformer of 2 blocks is here and not among the defaults of
the models, so that a study of another transformer cannot take it over.
"""

from mmpkd.config.cohorts import Cohort, Habit, Phantom
from mmpkd.config.evaluation import Claim, Evaluation
from mmpkd.config.imaging import Imaging
from mmpkd.config.students import Arm, Backbone, StudentConfig, Training
from mmpkd.config.study import Domain, Study
from mmpkd.config.teachers import TabularTeacher, TextTeacher

DEMO = Study(
    study="demo",
    seeds=[0, 1, 2, 3, 4],
    seeds_together=True,  # importing torch and timm takes a third of the time that a student takes
    cohorts={
        "mimic_cxr": Cohort(
            adapter="mimic_cxr",
            phantom=Phantom(patients=800, seed=1, label_noise=0.0, habit=Habit(marked=0.5, errors=0.6)),
        ),
        "vindr_cxr": Cohort(adapter="vindr_cxr", phantom=Phantom(patients=200, seed=2)),
        "cbis_ddsm": Cohort(
            adapter="cbis_ddsm",
            phantom=Phantom(patients=1000, seed=3, label_noise=0.05, habit=Habit(marked=0.6, errors=0.8)),
        ),
        "vindr_mammo": Cohort(adapter="vindr_mammo", phantom=Phantom(patients=100, seed=4)),
    },
    domains={
        "cxr": Domain(
            training="mimic_cxr",
            cohorts=["vindr_cxr"],
            labels=["Atelectasis", "Cardiomegaly", "Consolidation", "Pleural Effusion", "Pneumothorax"],
            teacher=TextTeacher(),
            course={"batch_size": 16},
        ),
        "mammography": Domain(
            training="cbis_ddsm",
            cohorts=["vindr_mammo"],
            labels=["malignant"],
            regions=["mass", "calcification"],
            teacher=TabularTeacher(),
            course={"epochs": 17, "batch_size": 16, "learning_rate": 1.5e-3},
        ),
    },
    imaging=Imaging(size=56),
    student=StudentConfig(
        model="vit_tiny_patch16_224",
        arguments={"patch_size": 8, "embed_dim": 64, "depth": 2, "num_heads": 2, "mlp_ratio": 1.0, "qk_norm": True},
        mean=0.5,
        std=0.25,
        backbone=Backbone(source="shapes", images=6000, epochs=30, learning_rate=2e-3, seed=7),
    ),
    training=Training(
        epochs=18,
        batch_size=32,
        learning_rate=2e-3,
        warmup=0.2,
        ema=0.98,
        shift=2,
        contrast=0.2,
        brightness=0.1,
    ),
    arms={
        "baseline": Arm(),
        "mmpkd": Arm(title="MMPKD", teacher="privileged", losses={"label": 1.0, "logit": 5.0}),
        "shuffled": Arm(title="shuffled teacher", teacher="shuffled", losses={"label": 1.0, "logit": 5.0}),
    },
    evaluation=Evaluation(
        metric="average_precision",
        metrics=["pixel_auroc", "average_precision", "pointing_game", "mass_in_roi", "iou_equal_area"],
    ),
    claims={
        "in_domain_cxr": Claim(
            title="The text teacher improves localisation in chest radiographs",
            cells=["cxr@mimic_cxr"],
            known="gain",
        ),
        "in_domain_mammography": Claim(
            title="The tabular teacher improves localisation in mammograms",
            cells=["mammography@cbis_ddsm"],
            known="gain",
        ),
        "other_data_set": Claim(
            title="The gain carries over to another data set of the same modality",
            cells=["cxr@vindr_cxr", "mammography@vindr_mammo"],
        ),
        "other_modality": Claim(
            title="No gain in the other modality",
            cells=["cxr@cbis_ddsm", "cxr@vindr_mammo", "mammography@mimic_cxr", "mammography@vindr_cxr"],
            expect="no_gain",
        ),
        "interaction": Claim(
            title="The gain is larger in the domain of the teacher than in the other",
            cells=["cxr@mimic_cxr", "mammography@cbis_ddsm"],
            minus=["cxr@cbis_ddsm", "mammography@mimic_cxr"],
        ),
    },
)
