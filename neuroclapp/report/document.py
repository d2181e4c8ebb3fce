"""What every report is made of: one self-contained page, its tables, and figures with a sentence each."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from matplotlib.figure import Figure

_CSS = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:0 auto;padding:1.5rem}
h1{line-height:1.2}h2{margin-top:2.5rem}
figure{margin:1rem 0}img{max-width:100%;background:white;border-radius:4px}
figcaption{margin-top:.3rem}
.wide{overflow-x:auto}
table{border-collapse:separate;border-spacing:0;font-size:.9rem}
td,th{padding:.25rem .6rem;text-align:right;border-bottom:1px solid #8884}
td{white-space:nowrap}th{vertical-align:bottom}
td:first-child,th:first-child{text-align:left;white-space:normal;position:sticky;left:0;background:Canvas;min-width:7rem}
code,pre{font-size:.9em}pre{overflow-x:auto}
@media(max-width:44rem){
body{padding:1rem}
figure img{max-width:none;width:44rem}
td:first-child,th:first-child{max-width:45vw}
}
@media print{
body{max-width:none;padding:0;font-size:11pt}
h2{margin-top:1.2rem;break-after:avoid}
section,figure,tr{break-inside:avoid}
img{max-height:23cm}
.wide{overflow:visible}
table{font-size:8pt}td,th{padding:.15rem .3rem;white-space:normal}
td:first-child,th:first-child{position:static;min-width:0}
}
"""


@dataclass(frozen=True)
class Shown:
    """A figure with its file name, heading, and the sentence that says what to see."""

    name: str
    heading: str
    figure: Figure
    sentence: str


def png(made: Figure) -> bytes:
    """Return a figure as PNG."""
    buffer = io.BytesIO()
    made.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def document(title: str, parts: Sequence[str]) -> str:
    """Return a page of HTML that asks for nothing from elsewhere; ``parts`` are HTML, ``title`` is text."""
    head = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>",
        f"<meta name=viewport content='width=device-width,initial-scale=1'><style>{_CSS}</style>",
    ]
    return "\n".join([*head, *parts]) + "</html>"


def pictures(shown: Sequence[tuple[Shown, bytes]]) -> list[str]:
    """Return each figure, paired with its PNG, under its heading."""
    parts = []
    for one, picture in shown:
        data = base64.b64encode(picture).decode("ascii")
        parts.append(
            f"<section><h2>{escape(one.heading)}</h2><figure><div class=wide>"
            f"<img alt='{escape(one.heading, quote=True)}' src='data:image/png;base64,{data}'></div>"
            f"<figcaption>{escape(one.sentence)}</figcaption></figure></section>"
        )
    return parts


def cost_and_versions(results: dict[str, Any]) -> list[str]:
    """Return what the steps of a run cost, and the versions that made it."""
    cost = [[name, f"{step['wall_s']:.1f}", f"{step['cpu_s']:.1f}"] for name, step in results["cost"].items()]
    return [
        "<h2>Cost</h2>" + table(["step", "wall [s]", "CPU [s]"], cost),
        "<h2>Versions</h2>"
        + table(["package", "version"], [list(pair) for pair in results["versions"].items()]),
    ]


def again(experiment: str, files: str = "") -> str:
    """Return how to make a run once more; ``experiment`` is its TOML text, ``files`` HTML on what it left."""
    return (
        "<h2>Again</h2><p><code>neuroclapp run DIR/experiment.toml --out AGAIN</code> makes this run once "
        "more in <code>AGAIN</code>; <code>DIR</code> is its directory. <code>experiment.toml</code> holds "
        f"every value, those set on the command line too. {files}</p>"
        f"<details><summary>experiment.toml</summary><pre>{escape(experiment)}</pre></details>"
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]], escaped: bool = False) -> str:
    """Return a table; cells are text, or HTML if they are ``escaped`` already."""
    clean = str if escaped else escape
    head = "".join(f"<th>{clean(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{clean(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
