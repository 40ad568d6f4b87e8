"""Seeded mutations of bytes, texts and DICOM files. All randomness is in the `random.Random` that is passed on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TypeVar

Item = TypeVar("Item")

INTEGERS = (0, 1, 2, 3, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 32767, 32768, 65535)
WIDE = (65536, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 2, (1 << 32) - 1)
NUMBERS = (
    *(b"0 -1 1 2 0.5 -0.0 255 256 4095 65535 65536 2147483648 4294967296 99999999999999999999 1e400 -1e400".split()),
    *(b"1e-400 1e38 3.5e38 nan inf -inf 1A 0x10 1_000 1\\2 1\\2\\3 \\ ".split(b" ")),
)
WORDS = (
    *(b"MONOCHROME1 MONOCHROME2 RGB YBR_FULL YBR_FULL_422 YBR_ICT YBR_RCT PALETTE INVERSE IDENTITY".split()),
    *(b"LINEAR LINEAR_EXACT SIGMOID NORMAL CR DX MG CT SEG".split()),
    *(b"1.2.840.10008.1.2" + tail for tail in (b"", b".1", b".1.99", b".2", b".5", b".4.50", b".4.51", b".4.57")),
    *(b"1.2.840.10008.1.2.4." + tail for tail in (b"70", b"80", b"81", b"90", b"91", b"201", b"203", b"100", b"")),
    *(b"PALETTE COLOR", b"ISO_IR 192", b"\\ISO 2022 IR 87", b"\xff\xfe", b"\0", b"", b"A" * 300),
)
VALUE_REPRESENTATIONS = b"""AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN
UR US UT UV""".split()
WITH_LONG_LENGTH = b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split()
WIDTHS = {"US": 2, "SS": 2, "OW": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "AT": 4}
UNDEFINED = 0xFFFFFFFF
LONGEST = 1 << 16  # bytes or characters that doubling may make of a part


def several(rng: Random, value: Item, steps: Sequence[Callable[[Random, Item], Item]]) -> Item:
    """Takes one step, and with a chance of a half another, and so on."""
    while True:
        value = rng.choice(steps)(rng, value)
        if rng.random() < 0.5:
            return value


def span(rng: Random, length: int) -> tuple[int, int]:
    """A part of a sequence, mostly a short one."""
    start = rng.randrange(length + 1)
    return start, min(length, start + rng.choice((0, 1, 2, 4, 16, 64, length)))


# bytes


def flip_bits(rng: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def set_bytes(rng: Random, data: bytes) -> bytes:
    start, end = span(rng, len(data))
    return (
        data[:start]
        + rng.choice((bytes(end - start), b"\xff" * (end - start), rng.randbytes(end - start)))
        + data[end:]
    )


def set_integer(rng: Random, data: bytes) -> bytes:
    width, order = rng.choice((1, 2, 4)), rng.choice(("little", "big"))
    number = rng.choice(INTEGERS + WIDE) % (1 << 8 * width)
    start = rng.randrange(len(data) + 1)
    return data[:start] + number.to_bytes(width, order) + data[start + width :]


def truncate(rng: Random, data: Item) -> Item:
    return data[: rng.randrange(len(data) + 1)]


def delete(rng: Random, data: Item) -> Item:
    start, end = span(rng, len(data))
    return data[:start] + data[end:]


def double(rng: Random, data: Item) -> Item:
    start, end = span(rng, len(data))
    times = min(rng.choice((1, 1, 2, 100)), LONGEST // max(end - start, 1))
    return data[:end] + data[start:end] * times + data[end:]


def insert_bytes(rng: Random, data: bytes) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + rng.choice((*NUMBERS, *WORDS, rng.randbytes(rng.randrange(9)))) + data[start:]


BYTE_STEPS = (
    flip_bits,
    flip_bits,
    flip_bits,
    set_bytes,
    set_integer,
    set_integer,
    truncate,
    delete,
    double,
    insert_bytes,
)


def spliced(rng: Random, first: Item, second: Item) -> Item:
    """The beginning of one and the end of the other."""
    return first[: rng.randrange(len(first) + 1)] + second[rng.randrange(len(second) + 1) :]


def mutated_bytes(rng: Random, corpus: Sequence[bytes]) -> bytes:
    """A member of the corpus after some steps, now and then spliced with another."""
    data = rng.choice(corpus)
    if rng.random() < 0.1:
        data = spliced(rng, data, rng.choice(corpus))
    return several(rng, data, BYTE_STEPS)


# texts

PIECES = (
    *(
        "\n",
        "\r\n",
        "\r",
        "\n\n",
        " \n \n",
        "\t",
        "\0",
        "\x1c",
        "\x85",
        "\u2028",
        "\ufeff",
        "İ",
        "ﬁ",
        "e\u0301",
        "检查",
    ),
    *(
        "\n FINDINGS:  ",
        "\nIMPRESSION:\n",
        "\n FINDINGS AND IMPRESSION: ",
        "\n :",
        "\n (): ",
        "\n ,-/: ",
        " WET READ: ",
    ),
    *("\n CHEST (PA AND LAT):\n", "FINAL REPORT", "___", ":", ": ", "A" * 300, " " * 300, "\n ZED: ", "\n INDICATION:"),
)


def drop_line(rng: Random, text: str) -> str:
    lines = text.split("\n")
    del lines[rng.randrange(len(lines))]
    return "\n".join(lines)


def double_line(rng: Random, text: str) -> str:
    lines = text.split("\n")
    line = rng.choice(lines)
    lines[rng.randrange(len(lines)) : 0] = [line] * min(rng.choice((1, 2, 30)), LONGEST // (len(line) + 1))
    return "\n".join(lines)


def move_line(rng: Random, text: str) -> str:
    lines = text.split("\n")
    line = lines.pop(rng.randrange(len(lines)))
    lines.insert(rng.randrange(len(lines) + 1), line)
    return "\n".join(lines)


def join_lines(rng: Random, text: str) -> str:
    lines = text.split("\n")
    place = rng.randrange(len(lines))
    return "\n".join([*lines[:place], "".join(lines[place : place + 2]), *lines[place + 2 :]])


def insert_piece(rng: Random, text: str) -> str:
    start = rng.randrange(len(text) + 1)
    return text[:start] + rng.choice(PIECES) + text[start:]


def set_character(rng: Random, text: str) -> str:
    start = rng.randrange(len(text) + 1)
    code = rng.choice((rng.randrange(128), rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)))
    return text[:start] + chr(code) + text[start + 1 :]


def change_case(rng: Random, text: str) -> str:
    start, end = span(rng, len(text))
    return text[:start] + text[start:end].swapcase() + text[end:]


TEXT_STEPS = (
    *(drop_line, double_line, move_line, join_lines, insert_piece, insert_piece, set_character, change_case),
    *(truncate, delete, double),
)


def mutated_text(rng: Random, corpus: Sequence[str]) -> str:
    """A member of the corpus after some steps, now and then spliced with another."""
    text = rng.choice(corpus)
    if rng.random() < 0.1:
        text = spliced(rng, text, rng.choice(corpus))
    return several(rng, text, TEXT_STEPS)


# DICOM


@dataclass(frozen=True)
class Element:
    """An element as it stands in the file. `head`: tag, value representation if the file has it, and length."""

    head: bytes
    value: bytes
    representation: str

    @property
    def length_width(self) -> int:
        explicit = self.head[4:6] in VALUE_REPRESENTATIONS
        return 2 if explicit and self.head[4:6] not in WITH_LONG_LENGTH else 4


@dataclass(frozen=True)
class DicomFile:
    """A DICOM file cut at its elements; `order` is that of the bytes of its numbers."""

    start: bytes
    elements: tuple[Element, ...]
    order: str

    def to_bytes(self) -> bytes:
        return self.start + b"".join(element.head + element.value for element in self.elements)


def set_length(rng: Random, element: Element, order: str) -> Element:
    """Another length, with the value as it was."""
    width = element.length_width
    near = (len(element.value) + rng.choice((-2, -1, 1, 2, 8))) % (1 << 8 * width)
    number = rng.choice((near, rng.choice(INTEGERS + WIDE))) % (1 << 8 * width)
    return replace(element, head=element.head[:-width] + number.to_bytes(width, order))


def set_value(rng: Random, element: Element, order: str) -> Element:
    """Another value, with its length."""
    width = WIDTHS.get(element.representation)
    if width and rng.random() < 0.8:
        numbers = [rng.choice(INTEGERS + WIDE) % (1 << 8 * width) for _ in range(rng.choice((0, 1, 1, 1, 2, 3)))]
        value = b"".join(number.to_bytes(width, order) for number in numbers)
    elif element.representation in ("DS", "IS"):
        value = rng.choice(NUMBERS)
    else:
        value = rng.choice((*WORDS, *NUMBERS))
    return with_value(element, value + b" " * (len(value) % 2), order)


def change_value(rng: Random, element: Element, order: str) -> Element:
    """Bytes of the value, with its length or without."""
    value = several(rng, element.value, BYTE_STEPS)
    return with_value(element, value, order) if rng.random() < 0.9 else replace(element, value=value)


def set_representation(rng: Random, element: Element, order: str) -> Element:
    return replace(element, head=element.head[:4] + rng.choice(VALUE_REPRESENTATIONS) + element.head[6:])


def change_head(rng: Random, element: Element, order: str) -> Element:
    return replace(element, head=rng.choice((flip_bits, set_integer, truncate))(rng, element.head))


def with_value(element: Element, value: bytes, order: str) -> Element:
    """The element with a value and its length, or with its undefined length."""
    width = element.length_width
    undefined = width == 4 and element.head[-4:] == UNDEFINED.to_bytes(4, order)
    head = element.head if undefined else element.head[:-width] + (len(value) % (1 << 8 * width)).to_bytes(width, order)
    return replace(element, head=head, value=value)


ELEMENT_STEPS = (*[set_value] * 8, *[change_value] * 6, set_length, set_representation, change_head)


def mutated_dicom(rng: Random, corpus: Sequence[DicomFile]) -> bytes:
    """A file of the corpus with changed, missing, doubled, moved and foreign elements, or with changed bytes."""
    file = rng.choice(corpus)
    if not file.elements or rng.random() < 0.15:
        return mutated_bytes(rng, [file.to_bytes()])
    elements = list(file.elements)
    while elements:
        place = len(elements) - 1 if rng.random() < 0.2 else rng.randrange(len(elements))  # the pixels are the last
        kind = rng.random()
        if kind < 0.7:
            elements[place] = rng.choice(ELEMENT_STEPS)(rng, elements[place], file.order)
        elif kind < 0.75:
            del elements[place]
        elif kind < 0.8:
            elements.insert(rng.randrange(len(elements) + 1), elements[place])
        elif kind < 0.85:
            elements.insert(rng.randrange(len(elements)), elements.pop(place))
        else:
            elements.insert(place, rng.choice(rng.choice(corpus).elements or file.elements))
        if rng.random() < 0.5:
            break
    data = replace(file, elements=tuple(elements)).to_bytes()
    return several(rng, data, BYTE_STEPS) if rng.random() < 0.1 else data
