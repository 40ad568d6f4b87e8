"""Markdown as HTML: the tables of the study, and the document of assumptions."""

from collections.abc import MutableMapping, Sequence
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

Environment = MutableMapping[str, Any]


def table_html(text: str, name: str) -> Markup:
    """The first table of a text, its cells as they stand, in a region called `name`; numbers are of class `number`.

    Raises:
        ValueError: there is no table.
    """
    parser = _parser("zero")  # nothing in a cell is mark-up
    tokens = parser.parse(text)
    types = [token.type for token in tokens]
    if "table_open" not in types:
        raise ValueError("holds no table")
    tokens = tokens[types.index("table_open") : types.index("table_close") + 1]
    return Markup(parser.renderer.render(tokens, parser.options, {"name": name, "class": ""}))


def prose_html(text: str, name: str) -> Markup:
    """A document without its headings; of a link, which leads to another document, the words alone are kept.

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
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(env["name"])}">\n<table>\n'


def _open_cell(renderer: Any, tokens: Sequence[Token], place: int, options: Any, env: Environment) -> str:
    """The first cell of a row is its header."""
    kind = "number" if "right" in str(tokens[place].attrGet("style")) else env["class"]
    classes = f' class="{kind}"' if kind else ""
    if tokens[place].tag == "th":
        return f'<th scope="col"{classes}>'
    return f'<th scope="row"{classes}>' if tokens[place - 1].type == "tr_open" else f"<td{classes}>"


def _close_cell(renderer: Any, tokens: Sequence[Token], place: int, options: Any, env: Environment) -> str:
    first = tokens[place - 3].type == "tr_open"  # before it stand the cell's opening and its content
    return "</th>\n" if first or tokens[place].tag == "th" else "</td>\n"
