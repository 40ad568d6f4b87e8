"""How a study is put together from its files: config.yaml, overlays, and single values of the command line.

A file is merged into those before it: mappings key by key, anything else is replaced. Four rules keep the settings of
one study out of another:

- A file with `extends: null` is a study of its own and takes nothing from config.yaml; `extends: other.yaml` puts it on
  top of another file, or of several in a list. Without the key a file goes on top of what precedes it, config.yaml at
  first.
- A choice is replaced as a whole where a file names it (`CHOICES`): a student with another `model` keeps no argument of
  the one before, a teacher of another `kind` no setting, a cohort with another `adapter` no folder.
- A known answer of the demo's claims goes where a cohort is real data.
- What makes sense as a whole only is never merged (`WHOLE`): the arguments of a student, the losses of an arm.

The Snakefile and `mmpkd check` both read a study with `load_study`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from mmpkd.config.reading import read_config
from mmpkd.config.study import ConfigError, Study, load

BASE = Path(__file__).parents[2] / "config.yaml"
EXTENDS = "extends"
Reader = Callable[[Path], dict[str, Any]]
# Paths of sections, and the key that says which of several things a section is.
CHOICES = {
    "student": "model",
    "student.backbone": "source",
    "cohorts.*": "adapter",
    "domains.*.teacher": "kind",
    "domains.*.teacher.encoder": "source",
    "arms.*": "teacher",
}
WHOLE = ("student.arguments", "arms.*.losses", "domains.*.variants.*")
# A cohort is a folder or a phantom: naming one drops what was said of the other.
ALTERNATIVES = {"cohorts.*": {"root": ("phantom",), "phantom": ("root", "folders")}}


@dataclass(frozen=True)
class Layers:
    """A study and where it comes from.

    Attributes:
        study: the validated study.
        files: the files, the later ones on top of the earlier.
        stated: what the files above config.yaml and the command line say, merged.
    """

    study: Study
    files: tuple[Path, ...]
    stated: Mapping[str, Any]

    @property
    def stands_on_the_demo(self) -> bool:
        """Whether keys that are not stated have the values of config.yaml."""
        return BASE in self.files


def load_study(overlays: Iterable[Path], values: Mapping[str, Any] | None = None, base: Path = BASE) -> Study:
    """The study of the overlays, and of `values` of the command line on top of them.

    Args:
        overlays: files, the later ones on top.
        values: of the command line, by key.
        base: the file below them.

    Raises:
        ConfigError: a file cannot be read, the files do not go together, or the study is not valid.
    """
    return load_layers(overlays, values, base).study


def load_layers(overlays: Iterable[Path], values: Mapping[str, Any] | None = None, base: Path = BASE) -> Layers:
    """As `load_study`, with the files that the study was read from.

    Args:
        overlays: files, the later ones on top.
        values: of the command line, by key.
        base: the file below them.

    Raises:
        ConfigError: as for `load_study`, or config.yaml is needed and not there: the library is installed alone.
    """
    read = cache(read_config)  # a file is asked what it extends, and then for its content
    files = _in_order([Path(overlay) for overlay in overlays], base, read)
    if base in files and not base.exists():
        raise ConfigError(
            f"{base.name} is not part of the installed library: run `python -m mmpkd` in a checkout of the project, or "
            "name a study of its own (extends: null)"
        )
    merged: dict[str, Any] = {}
    stated: dict[str, Any] = {}
    for file in files:
        content = _without_extends(read(file))
        merged = merge(merged, content)
        if file != base:
            stated = merge(stated, content)
    stated = merge(stated, values or {})
    return Layers(load(_without_demo_answers(merge(merged, values or {}), stated)), files, stated)


def _without_demo_answers(config: dict[str, Any], stated: Mapping[str, Any]) -> dict[str, Any]:
    """With real data no claim keeps a known answer that only config.yaml states: it was planted in its phantoms."""
    parts = config.get("cohorts"), config.get("claims"), stated.get("claims")
    cohorts, claims, own = (part if isinstance(part, Mapping) else {} for part in parts)
    if not any(isinstance(cohort, Mapping) and cohort.get("root") is not None for cohort in cohorts.values()):
        return config
    stating = {name for name, claim in own.items() if isinstance(claim, Mapping) and "known" in claim}
    kept = {
        name: {key: value for key, value in claim.items() if key != "known"}
        for name, claim in claims.items()
        if isinstance(claim, Mapping) and name not in stating
    }
    return {**config, "claims": {**claims, **kept}} if kept else config


def _in_order(overlays: Sequence[Path], base: Path, read: Reader) -> tuple[Path, ...]:
    """Every file once, what is extended before what extends it."""
    files: list[Path] = []
    for overlay in overlays:
        chain, own = _chain(overlay, (), read)
        if not files and not own:
            files.append(base)
        missing = [file for file in dict.fromkeys(chain) if _identity(file) not in map(_identity, files)]
        if files and own and _identity(chain[0]) in map(_identity, missing):
            raise ConfigError(
                f"{overlay}: {chain[0]} is a study of its own (extends: null) and cannot go on top of "
                f"{files[-1]}; name it first, or leave one of them out"
            )
        files += missing
    return tuple(files or [base])


def _chain(file: Path, above: tuple[Path, ...], read: Reader) -> tuple[list[Path], bool]:
    """The files that `file` extends, and itself; whether the first of them is a study of its own."""
    if _identity(file) in map(_identity, above):
        raise ConfigError(f"{file}: it extends itself, by way of {', '.join(map(str, above))}")
    content = read(file)
    if EXTENDS not in content:
        return [file], False
    if content[EXTENDS] is None:
        return [file], True
    targets = content[EXTENDS] if isinstance(content[EXTENDS], list) else [content[EXTENDS]]
    if not targets or not all(isinstance(target, str) and target.strip() for target in targets):
        raise ConfigError(
            f"{file}: extends: write null, or the path of another file beside this one, or several in a list"
        )
    chains = [_chain(file.parent / target, (*above, file), read) for target in targets]
    if any(own for _, own in chains[1:]):
        raise ConfigError(f"{file}: extends: a study of its own (extends: null) can only be the first in the list")
    return [*(before for chain, _ in chains for before in chain), file], chains[0][1]


def _identity(file: Path) -> Path:
    return file.resolve()


def _without_extends(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key != EXTENDS}


def merge(config: Mapping[str, Any], changes: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """A configuration with changes on top of it.

    Args:
        config: below.
        changes: on top.
        place: the dotted path of both, "" at the top.
    """
    merged = dict(config)
    for name, dropped in _matching(ALTERNATIVES, place).items():
        if changes.get(name) is not None:
            merged = {key: value for key, value in merged.items() if key not in dropped}
    for key, value in changes.items():
        path = f"{place}.{key}" if place else str(key)
        if isinstance(value, Mapping):
            before = merged.get(key)
            kept = before if isinstance(before, Mapping) and not _starts_anew(path, value) else {}
            merged[key] = merge(kept, value, path)
        else:
            merged[key] = value
    return merged


def _starts_anew(path: str, value: Mapping[str, Any]) -> bool:
    choice = _matching(CHOICES, path)
    return any(_fits(path, pattern) for pattern in WHOLE) or bool(choice and choice in value)


def _matching(table: Mapping[str, Any], path: str) -> Any:
    return next((entry for pattern, entry in table.items() if _fits(path, pattern)), {})


def _fits(path: str, pattern: str) -> bool:
    """Whether a dotted path has the pattern's number of parts, each as in the pattern or below a *."""
    return path.count(".") == pattern.count(".") and fnmatchcase(path, pattern)


def parse_entries(entries: Iterable[str]) -> dict[str, Any]:
    """Entries `key=value` as of `snakemake --config`.

    A value is True or False, an integer or a number, else YAML whose scalars are text.

    Raises:
        ConfigError: an entry has no `=`.
    """
    config: dict[str, Any] = {}
    for entry in entries:
        key, equals, text = entry.partition("=")
        if not equals or not key:
            raise ConfigError(f"--config {entry}: key=value is expected")
        config = merge(config, {key: _value(text)})
    return config


def _value(text: str) -> Any:
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    try:
        return (
            yaml.load(text, Loader=yaml.BaseLoader) if text else None
        )  # BaseLoader makes text, lists and mappings alone
    except yaml.YAMLError:
        return text
