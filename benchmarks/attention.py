"""What a batch's attention maps cost, against a plain forward and timm's AttentionExtract.

Run from the repository's root: python -m benchmarks.attention [--rounds 5] [--models demo small]

One process, one thread, float32, on the CPU; the time is the processor's, so that waiting for other work on the
machine does not count. Each round runs every candidate in rotating order; a row gives the median of the rounds and of
the ratios within a round. Candidates:

plain               timm's own forward of all tokens and the head, nothing read
student             the student's forward, whose last block computes the class token alone
<methods>           mmpkd.attention.attention_maps and the head; fused attention on
export              the default pair with the rate of artefact tokens, as the workflow exports it
AttentionExtract    timm.utils.AttentionExtract (hooks) on the same transformer with fused attention off: all blocks'
                    matrices of each head
  .. last_layer, .. rollout   the same, and the map from its matrices as one would write it

Before the time, the maps of the two are compared; the largest difference is printed below the table.
"""

import argparse
import os
import platform
import statistics
from collections.abc import Callable
from copy import deepcopy
from importlib.metadata import version
from importlib.util import find_spec

os.environ["OMP_NUM_THREADS"] = "1"

import torch

from benchmarks.rounds import measure, ratio
from mmpkd.attention.export import artefact_rate, last_tokens
from mmpkd.attention.gradient import predicted_score
from mmpkd.attention.maps import attention_maps
from mmpkd.config.demo import DEMO
from mmpkd.config.evaluation import RECEIVED
from mmpkd.config.students import StudentConfig
from mmpkd.device import use_threads
from mmpkd.students.class_token import every_token
from mmpkd.students.vision import timm
from mmpkd.students.vit import create

LABELS = ["a", "b", "c", "d", "e"]
MODELS = {  # configuration, image size, batch, times the rounds
    "demo": (DEMO.student, DEMO.imaging.size, 64, 10),
    "small": (StudentConfig(model="vit_small_patch16_224", arguments={}), 224, 8, 1),
}
METHODS = (
    ["last_layer"],
    ["rollout"],
    ["rollout", "last_layer"],
    ["last_layer_max"],
    ["value_norm"],
    ["gradient_rollout"],
    ["grad_cam"],
)


class Candidates:
    """Maps of the same batch in different ways."""

    def __init__(self, model: str) -> None:
        config, size, batch, _ = MODELS[model]
        self.student = create(config, size, LABELS, 0).eval()
        self.vit = self.student.vit
        self.images = torch.randn(batch, 1, size, size, generator=torch.Generator().manual_seed(0))
        unfused = deepcopy(self.vit)
        unfused.blocks[-1].attn.whole = True
        for block in unfused.blocks:
            block.attn.fused_attn = False
        self.extract = timm.utils.AttentionExtract(unfused, method="hook")

    def plain(self) -> None:
        with every_token(self.vit):
            self.short()

    def short(self) -> None:
        self.student.read(self.vit.forward_features(self.images))

    def maps(self, methods: list[str]) -> dict[str, torch.Tensor]:
        features, found = attention_maps(
            self.vit,
            self.images,
            methods,
            lambda tokens: predicted_score(self.student.read(tokens).logits, "multi_label"),
        )
        self.student.read(features)
        return found

    def export(self) -> None:
        with last_tokens(self.vit) as tokens:
            self.maps(["rollout", "last_layer", RECEIVED])
        artefact_rate(tokens[0], self.vit.num_prefix_tokens)

    def matrices(self) -> list[torch.Tensor]:
        return list(self.extract(self.images).values())

    def extracted_last_layer(self) -> torch.Tensor:
        return self.shares(self.matrices()[-1].mean(dim=1)[:, 0])

    def extracted_rollout(self) -> torch.Tensor:
        product = identity = torch.eye(self.vit.pos_embed.shape[1])
        for matrix in self.matrices():
            product = (matrix.mean(dim=1) + identity) / 2 @ product
        return self.shares(product[:, 0])

    def shares(self, row: torch.Tensor) -> torch.Tensor:
        patches = row[:, self.vit.num_prefix_tokens :]
        return (patches / patches.sum(dim=1, keepdim=True)).unflatten(1, self.vit.patch_embed.grid_size)

    def difference(self) -> float:
        """The largest difference between the maps of the two ways."""
        ours = self.maps(["last_layer", "rollout"])
        theirs = {"last_layer": self.extracted_last_layer(), "rollout": self.extracted_rollout()}
        return max((ours[name] - theirs[name]).abs().max().item() for name in ours)

    def all(self) -> dict[str, Callable[[], object]]:
        methods = [names for names in METHODS if names != ["grad_cam"] or find_spec("pytorch_grad_cam")]
        return {
            "plain": self.plain,
            "student": self.short,
            **{" + ".join(names): lambda names=names: self.maps(names) for names in methods},
            "export": self.export,
            "AttentionExtract": self.matrices,
            ".. last_layer": self.extracted_last_layer,
            ".. rollout": self.extracted_rollout,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    arguments = parser.parse_args()
    use_threads(1)
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "timm"))
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {packages}\n")
    print("| student | candidate | ms per batch | time / plain | time / student | time / AttentionExtract |")
    print("|---|---|---|---|---|---|")
    notes = []
    for model in arguments.models:
        with torch.no_grad():
            candidates = Candidates(model)
            notes.append(f"{model}: maps differ from AttentionExtract's by at most {candidates.difference():.1e}")
            seconds = measure(candidates.all(), arguments.rounds * MODELS[model][3])
        for name, values in seconds.items():
            ratios = [ratio(values, seconds[other]) for other in ("plain", "student", "AttentionExtract")]
            figures = " | ".join(f"{number:.3f}" for number in ratios)
            print(f"| {model} | {name} | {1e3 * statistics.median(values):.1f} | {figures} |")
    print("", *notes, sep="\n")


if __name__ == "__main__":
    main()
