"""Tables, figures and documents as the page shows them; Markdown becomes HTML."""

import base64
import re
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from html import escape, unescape
from io import BytesIO
from os.path import relpath
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup
from PIL import Image

from mmpkd.config.outputs import Output
from mmpkd.design import Design
from mmpkd.outputs.words import column_meaning
from mmpkd.results import Results

Environment = MutableMapping[str, Any]
MANY_LETTERS = 30  # of a cell that needs a wider column


@dataclass(frozen=True)
class TableItem:
    """A table as the template shows it."""

    output: Output
    name: str
    title: str
    caption: str
    file: str
    html: Markup
    columns: dict[str, str]  # what they hold, by their heads; of those that need an explanation
    rows: int
    csv: str  # the file, base64


@dataclass(frozen=True)
class FigureItem:
    """A figure as the template shows it."""

    output: Output
    name: str
    title: str
    caption: str
    summary: str  # what stands for the picture: its alternative text or, without one, the caption's first sentence
    file: str
    data: str  # the PNG, base64
    width: int  # of the picture on a narrow screen, at which its words are legible


def read_table(output: Output, results: Results, design: Design) -> TableItem:
    """The rounded table of its Markdown file, and the CSV file, which holds all columns and digits.

    Args:
        output: which table.
        results: where its files lie.
        design: of the study, whose arms have columns in some tables.

    Raises:
        ValueError: the Markdown file holds no table.
    """
    files = results.table(output.name)
    try:
        html = table_html(Path(files["md"]).read_text(encoding="utf-8"), f"Table: {output.title}")
    except ValueError as error:
        raise ValueError(f"{files['md']} {error}; make {output.rule} again") from None
    return TableItem(
        output=output,
        name=output.name,
        title=output.title,
        caption=Path(files["caption"]).read_text(encoding="utf-8").strip(),
        file=relpath(files["csv"], results.root),
        html=html,
        columns={head: meaning for head in _heads(html) if (meaning := column_meaning(head, design))},
        rows=html.count("<tr>") - 1,  # less the head
        csv=base64.b64encode(Path(files["csv"]).read_bytes()).decode("ascii"),
    )


def read_figure(output: Output, results: Results) -> FigureItem:
    """The picture, inline, and its caption.

    Args:
        output: which figure.
        results: where its files lie.

    Raises:
        ValueError: the file is no PNG.
    """
    files = results.figure(output.name)
    content = Path(files["png"]).read_bytes()
    if not content.startswith(b"\x89PNG"):
        raise ValueError(f"{files['png']} is no PNG file; make {output.rule} again")
    text = Path(files["caption"]).read_text(encoding="utf-8").strip()
    with Image.open(BytesIO(content)) as picture:
        alt, width = picture.info.get("Description"), max(picture.width // 2, 1)
    return FigureItem(
        output=output,
        name=output.name,
        title=output.title,
        caption=text,
        summary=alt or re.split(r"(?<=\.)\s", text, maxsplit=1)[0],
        file=relpath(files["pdf"], results.root),
        data=base64.b64encode(content).decode("ascii"),
        width=width,
    )


def table_html(text: str, name: str) -> Markup:
    """The first table of a text in a region called `name`: its cells as they stand, but with minus signs.

    Args:
        text: Markdown.
        name: of the region.

    Raises:
        ValueError: there is no table.
    """
    parser = _parser("zero")  # nothing in a cell is mark-up
    tokens = parser.parse(re.sub(r"(?<=[\s\[])-(?=\d)", "\N{MINUS SIGN}", text))
    types = [token.type for token in tokens]
    if "table_open" not in types:
        raise ValueError("holds no table")
    tokens = tokens[types.index("table_open") : types.index("table_close") + 1]
    return Markup(parser.renderer.render(tokens, parser.options, {"name": name, "class": ""}))


def _heads(html: Markup) -> list[str]:
    return [unescape(head) for head in re.findall(r'<th scope="col"[^>]*>(.*?)</th>', html)]


def prose_html(text: str, name: str) -> Markup:
    """A document without its headings; of a link, which leads to another document, the words alone are kept.

    Args:
        text: Markdown.
        name: of the document.

    Raises:
        ValueError: the document is empty.
    """
    parser = _parser("commonmark")
    tokens = parser.parse(text)
    headings = {place for place, token in enumerate(tokens) if token.type == "heading_open"}
    tokens = [token for place, token in enumerate(tokens) if not headings & {place, place - 1, place - 2}]
    if not tokens:
        raise ValueError(f"the document of {name.lower()} is empty")
    return Markup(parser.renderer.render(tokens, parser.options, {"name": name, "class": "prose"}))


def _parser(preset: str) -> MarkdownIt:
    """A parser that runs no HTML, and writes tables for the page's style sheet and for screen readers."""
    parser = MarkdownIt(preset, {"html": False}).enable("table")
    for kind in ("th", "td"):
        parser.add_render_rule(f"{kind}_open", _open_cell)
        parser.add_render_rule(f"{kind}_close", _close_cell)
    parser.add_render_rule("table_open", _open_table)
    parser.add_render_rule("table_close", lambda *_: "</table>\n</div>\n")
    for part in ("link_open", "link_close"):
        parser.add_render_rule(part, lambda *_: "")
    return parser


def _open_table(renderer: Any, tokens: Sequence[Token], place: int, options: Any, env: Environment) -> str:
    env["tables"] = env.get("tables", 0) + 1  # regions of one page have names of their own
    name = escape(f"{env['name']}: table {env['tables']}" if env["class"] == "prose" else env["name"])
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{name}">\n<table>\n'


def _open_cell(renderer: Any, tokens: Sequence[Token], place: int, options: Any, env: Environment) -> str:
    """The first cell of a row is its header."""
    number = "right" in str(tokens[place].attrGet("style"))
    kind = "number" if number else env["class"] or ("words" if len(tokens[place + 1].content) > MANY_LETTERS else "")
    classes = f' class="{kind}"' if kind else ""
    if tokens[place].tag == "th":
        return f'<th scope="col"{classes}>'
    return f'<th scope="row"{classes}>' if tokens[place - 1].type == "tr_open" else f"<td{classes}>"


def _close_cell(renderer: Any, tokens: Sequence[Token], place: int, options: Any, env: Environment) -> str:
    first = tokens[place - 3].type == "tr_open"  # before it stand the cell's opening and its content
    return "</th>\n" if first or tokens[place].tag == "th" else "</td>\n"
