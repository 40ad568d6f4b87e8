"""What a check found, for a terminal of 80 to 100 columns: aligned, in words, with colour as a mere help."""

import textwrap
from collections.abc import Iterator
from itertools import zip_longest

from mmpkd.check.facts import UNFIT, CohortFacts, HeaderFacts, MachineFacts, StudentFacts, StudyFacts
from mmpkd.check.judge import bytes_text
from mmpkd.cohorts.tables import SPLITS

WIDTH = 96
NAME = 30  # width of the first column
COLUMN = 11
COLOURS = {"ERROR": "31", "MISSING": "31", "WARNING": "33", "ok": "32"}
ROWS = {
    "images": "images",
    "studies": "studies",
    "patients": "patients",
    "rois": "regions of interest",
    "records": "privileged records",
}


def render(facts: StudyFacts, colour: bool = False) -> str:
    """The report as text.

    Args:
        facts: what the check found.
        colour: adds ANSI colours and takes nothing away.
    """
    lines = _wrapped(f"Study {facts.study}, from {', '.join(facts.files)}", 2)
    for name, cohort in facts.cohorts.items():
        lines += ["", *_cohort(name, cohort)]
    lines += ["", *_rest(facts), "", *_problems(facts), _verdict(facts)]
    text = "\n".join(lines)
    return _coloured(text) if colour else text


def _cohort(name: str, facts: CohortFacts) -> Iterator[str]:
    role = "learnt from and tested on" if facts.training else "tested on"
    marks = [role, f"adapter {facts.adapter}", *(["restricted"] if facts.restricted else [])]
    yield f"{facts.domain} / {name}: {', '.join(marks)}"
    if facts.phantom_patients is not None:
        yield f"  phantom: {facts.phantom_patients:,} patients will be drawn"
    else:
        yield f"  {facts.root}"
    yield from _needs(facts)
    if facts.error is not None:
        yield from _wrapped(f"  ERROR    {facts.error}", 11)
    elif facts.phantom_patients is not None:
        about = ", ".join(f"about {counts['all']:,} {ROWS[key]}" for key, counts in facts.counts.items())
        yield f"  {about}; image store {bytes_text(facts.store_bytes)}"
    else:
        yield from _counts(facts)
        yield from _rejected(facts)
        if facts.headers is not None:
            yield from _headers(facts.headers)
        if facts.images_wanted:
            yield f"  image store: {bytes_text(facts.store_bytes)}"


def _needs(facts: CohortFacts) -> Iterator[str]:
    """Each file or folder; where several that are not there come from one place, it is named once, after them."""
    for need, following in zip_longest(facts.needs, facts.needs[1:]):
        state = "ok" if need.found else "absent" if not need.required else "ERROR" if need.there else "MISSING"
        unfit = f", {UNFIT}" if need.there and not need.found else ""
        what = f"{need.what}{unfit}{'' if need.required else ' (not required)'}"
        yield from _wrapped(f"  {state:<8} {need.path.removeprefix(f'{facts.root}/')}: {what}", 11)
        same_source = following is not None and not following.found and following.source == need.source
        if not need.found and not same_source:
            yield from _wrapped(f"{'':11}-> {need.source}", 14)


def _counts(facts: CohortFacts) -> Iterator[str]:
    yield f"  {'':<{NAME}}" + "".join(f"{split:>{COLUMN}}" for split in (*SPLITS, "all")) + f"{'known':>{COLUMN}}"
    for key, counts in facts.counts.items():
        yield _row(ROWS[key], counts)
    for label, values in facts.labels.items():
        known = values["positive"]["all"] + values["negative"]["all"]
        yield _row(f"with {label}", values["positive"]) + f"{known:>{COLUMN},}"
    if facts.unknown_labels:
        yield from _wrapped(f"  labels that it does not know: {', '.join(facts.unknown_labels)}", 4)


def _row(name: str, counts: dict[str, int]) -> str:
    short = name if len(name) <= NAME else name[: NAME - 3] + "..."
    return f"  {short:<{NAME}}" + "".join(f"{counts[split]:>{COLUMN},}" for split in (*SPLITS, "all"))


def _rejected(facts: CohortFacts) -> Iterator[str]:
    """Records set aside, and decisions that the adapter counted."""
    for title, counts in (("set aside, with the reason", facts.rejected), ("counted decisions", facts.notes)):
        counts = {name: count for name, count in counts.items() if count}
        if counts:
            yield f"  {title}"
        for name, count in counts.items():
            yield from _wrapped(f"  {count:>9,}  {name.replace('_', ' ')}", 13)


def _headers(headers: HeaderFacts) -> Iterator[str]:
    unreadable = sum(headers.unreadable.values())
    sample = "all" if headers.read == headers.files else "a sample of"
    yield f"  headers: {sample} {headers.read:,} of {headers.files:,} files read, {unreadable:,} unreadable"
    for reason, count in headers.unreadable.items():
        yield from _wrapped(f"  {count:>9,}  {reason}{_example(headers, reason)}", 13)
    if headers.decoded:
        unread = sum(headers.undecoded.values())
        yield f"  pixels: {headers.decoded} of these files read, {unread} unreadable"
    for reason, count in headers.undecoded.items():
        yield from _wrapped(f"  {count:>9,}  {reason}{_example(headers, reason)}", 13)
    if headers.rows:
        size = f"{headers.rows[1]:,} x {headers.columns[1]:,}"
        syntaxes = ", ".join(f"{name} {count:,}" for name, count in headers.transfer_syntaxes.items())
        yield from _wrapped(f"           median size {size}{'; ' if syntaxes else ''}{syntaxes}", 11)


def _example(headers: HeaderFacts, reason: str) -> str:
    return f": {headers.examples[reason]}" if reason in headers.examples else ""


def _rest(facts: StudyFacts) -> Iterator[str]:
    """Weights, disk and machine; what is wrong with them stands among the problems."""
    if facts.student is not None and facts.student.error is None:
        yield from _wrapped(_student(facts.student), 9)
    for weights in facts.weights:
        state = {"missing": "MISSING", "does not fit": "ERROR", "needs network": "absent"}.get(weights.state, "ok")
        message = f": {weights.message}" if state == "ok" else ""
        yield from _wrapped(f"{state:<8} {weights.purpose} ({weights.source}){message}", 9)
    yield from _wrapped(_disk(facts), 9)
    yield _device(facts.machine)
    lacking = [name for name, there in facts.machine.decoders.items() if not there]
    yield f"{'absent' if lacking else 'ok':<8} DICOM decoders: {', '.join(lacking) if lacking else 'all there'}"


def _device(machine: MachineFacts) -> str:
    state = "MISSING" if machine.torch is None else "absent" if machine.device == "cuda" and not machine.gpus else "ok"
    gpus = f"{machine.gpus} GPU{'' if machine.gpus == 1 else 's'} seen" if machine.gpus else "no GPU seen"
    computes = ", so that the CPU computes" if machine.device == "auto" and not machine.gpus else ""
    return f"{state:<8} device {machine.device}: {gpus}{computes}; torch {machine.torch or 'not installed'}"


def _student(student: StudentFacts) -> str:
    return (
        f"{'ok':<8} student {student.model}: {student.parameters / 1e6:.1f} million parameters, {student.grid} x "
        f"{student.grid} patches of {student.patch} pixels; a training step takes about "
        f"{bytes_text(student.training_bytes)} of memory in float32"
    )


def _disk(facts: StudyFacts) -> str:
    disk = facts.disk
    total = sum(disk.needed.values())
    state = "ok" if total - disk.there <= disk.free else "ERROR"
    parts = ", ".join(f"{name} {bytes_text(count)}" for name, count in disk.needed.items() if count)
    text = f"{state:<8} disk at {disk.folder}: about {bytes_text(total)} needed{f' ({parts})' if parts else ''}, "
    text += f"{bytes_text(disk.there)} there, {bytes_text(disk.free)} free"
    unread = [name for name, cohort in facts.cohorts.items() if cohort.error is not None]
    return text + (f"; without {', '.join(unread)}, not counted yet" if unread else "")


def _problems(facts: StudyFacts) -> Iterator[str]:
    for problem in facts.problems:
        yield from _wrapped(f"{problem.level.upper():<8} {problem.where}: {problem.message}", 9)


def _verdict(facts: StudyFacts) -> str:
    levels = [problem.level for problem in facts.problems]
    counts = ", ".join(
        f"{levels.count(level)} {level}{'' if levels.count(level) == 1 else 's'}" for level in ("error", "warning")
    )
    return f"The study can {'' if facts.can_run else 'NOT '}run: {counts}."


def _wrapped(text: str, indent: int) -> list[str]:
    """Lines of at most `WIDTH`; paths and addresses stay whole."""
    start = len(text) - len(text.lstrip())
    head, body = text[:indent], text[indent:]
    if start >= indent:
        head, body = " " * indent, text.lstrip()
    return textwrap.wrap(
        body,
        WIDTH,
        initial_indent=head,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [text]


def _coloured(text: str) -> str:
    lines = []
    for line in text.split("\n"):
        word = line.split(maxsplit=1)[0] if line.strip() else ""
        code = COLOURS.get(word)
        lines.append(line.replace(word, f"\033[{code}m{word}\033[0m", 1) if code else line)
    return "\n".join(lines)
