"""The part of Markdown that docs/assumptions.md uses: paragraphs, tables, `code`, **strong** and links.

Links lead to other documents, which are not in the page, so their words alone are kept.
"""

import re
from dataclasses import dataclass

from mmpkd.report.items import cells

LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
MARKED = re.compile(r"`([^`]+)`|\*\*(.+?)\*\*")


@dataclass(frozen=True)
class Span:
    """A run of text of one kind: text, code or strong."""

    kind: str
    text: str


@dataclass(frozen=True)
class Block:
    """A paragraph, which is one row of one cell, or a table, whose first row is its header."""

    kind: str
    rows: list[list[list[Span]]]


def read_prose(text: str) -> list[Block]:
    """The blocks of a document in order; headings are left out, for the page has its own.

    Raises:
        ValueError: there is none.
    """
    blocks = []
    for part in re.split(r"\n\s*\n", text.strip()):
        lines = [line for line in part.splitlines() if not line.startswith("#")]
        if lines and all(line.startswith("|") for line in lines):
            header, _, *rows = map(cells, lines)
            blocks.append(Block("table", [[spans(cell) for cell in row] for row in (header, *rows)]))
        elif lines:
            blocks.append(Block("paragraph", [[spans(" ".join(lines))]]))
    if not blocks:
        raise ValueError("the document of assumptions is empty")
    return blocks


def spans(text: str) -> list[Span]:
    """Runs of plain text, code and strong text."""
    found, end = [], 0
    text = LINK.sub(r"\1", text)
    for match in MARKED.finditer(text):
        found.append(Span("text", text[end : match.start()]))
        found.append(Span("code", match[1]) if match[1] else Span("strong", match[2]))
        end = match.end()
    return [span for span in (*found, Span("text", text[end:])) if span.text]
