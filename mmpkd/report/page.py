"""The page: one HTML file that needs no other file and no network."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mmpkd.config.outputs import chosen
from mmpkd.design import Design
from mmpkd.outputs.words import cohort_name
from mmpkd.report.items import TableItem, read_figure, read_table
from mmpkd.report.study import Flow, cohorts_in_use, headline, planted_words, read_claims, size_words
from mmpkd.report.viewer import Viewer
from mmpkd.results import Results

FOLDER = Path(__file__).parent


def build(
    study: Mapping[str, Any],
    results: Results,
    origin: Mapping[str, Any],
    flows: Sequence[Flow] = (),
    viewer: Viewer | None = None,
    assumptions: Markup | None = None,
    controls: Sequence[str] = (),
) -> str:
    """The report as HTML. Parts that are not given are left out.

    Args:
        study: the configuration as plain values; its tables and figures are shown.
        results: where they lie. The claims in words come from the table of claims.
        origin: what `mmpkd.provenance.record` returned.
        flows: what became of the records of each cohort.
        viewer: cases of the attention viewer.
        assumptions: what the study assumes, see `mmpkd.report.items.prose_html`.
        controls: whether the reference's maps find anything, see `mmpkd.report.controls.control_words`.

    Raises:
        FileNotFoundError: a table, figure or caption is missing.
        ValueError: a Markdown file holds no table, or a PNG file is none.
    """
    design = Design.of(study)
    tables = {output.name: read_table(output, results, design) for output in chosen(study["tables"], ())}
    claims = []
    if "claims" in tables:
        claims = read_claims(results.table("claims")["csv"], study["evaluation"]["confidence"], design)
    return (
        _environment(design)
        .get_template("template.html")
        .render(
            **_header(study),
            **_inline(viewer, tables),
            claims=claims,
            known=any(claim.known for claim in claims),
            headline=headline(claims),
            figures=[read_figure(output, results) for output in chosen((), study["figures"])],
            summary=tables.get("summary"),
            tables=[item for name, item in tables.items() if name not in ("summary", "runtime")],
            runtime=tables.get("runtime"),
            flows=flows,
            origin=origin,
            configuration=yaml.safe_dump(origin["configuration"], sort_keys=False, allow_unicode=True),
            assumptions=assumptions,
            controls=controls,
            reference=design.title(design.reference),
        )
    )


def content_policy(style: str, scripts: Sequence[str]) -> str:
    """The Content-Security-Policy: no network at all, inline pictures, this style and these scripts alone.

    Args:
        style: content of the style element.
        scripts: content of each script element.
    """

    def source(text: str) -> str:
        digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
        return f"'sha256-{digest}'"

    none = "'none'"
    return (
        f"default-src {none}; img-src data:; style-src {source(style)}; "
        f"script-src {' '.join(map(source, scripts)) or none}; base-uri {none}; form-action {none}"
    )


def _header(study: Mapping[str, Any]) -> dict[str, Any]:
    """What was run, on what."""
    fabricated = Design.of(study).phantoms
    real = [cohort_name(name) for name in cohorts_in_use(study) if name not in fabricated]
    words = {"size": size_words(study), "planted": planted_words(study)}
    return {"study": study["study"], "phantoms": list(map(cohort_name, fabricated)), "real": real, **words}


def _inline(viewer: Viewer | None, tables: Mapping[str, TableItem]) -> dict[str, Any]:
    """What other pages load from other files, and the policy that it is all there is."""
    wanted = {"tables.js": bool(tables), "viewer.js": viewer is not None and bool(viewer.cells)}
    scripts = [(FOLDER / name).read_text(encoding="utf-8") for name, there in wanted.items() if there]
    style = (FOLDER / "style.css").read_text(encoding="utf-8")
    data = _inline_json(viewer.data) if viewer else ""
    policy = content_policy(style, scripts)
    return {"policy": policy, "style": style, "scripts": scripts, "viewer": viewer, "viewer_data": data}


def _environment(design: Design) -> Environment:
    """Templates whose filter `cohort` names a cohort."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cohort"] = lambda name: cohort_name(name, design)
    return environment


def _inline_json(value: Any) -> str:
    """JSON that may stand in a script element: nothing in it can end the element."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c")
