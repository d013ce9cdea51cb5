"""A table as text for a terminal, as CSV, as JSON, and tables as one HTML page that needs nothing from the network."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from html import escape

from desk.reports.table import Column, Table, Unit, Value, exact, shown
from router.costs.shortfall import PARTS

_COLOURS = ("#7b8fa6", "#4c78a8", "#72b7b2", "#f58518", "#e45756", "#b279a2", "#9d755d", "#54a24b")

_STYLE = """
:root{--ink:#1d2530;--soft:#66717f;--line:#dde3ea;--ground:#fff;--band:#f5f7fa}
@media (prefers-color-scheme:dark){:root{--ink:#e3e8ee;--soft:#97a3b1;--line:#323b46;--ground:#14181d;--band:#1b2127}}
*{box-sizing:border-box}body{margin:2rem auto;max-width:1500px;padding:0 1.5rem;background:var(--ground);color:var(--ink);
font:14px/1.45 system-ui,sans-serif}h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}
p{color:var(--soft);margin:.25rem 0 1rem}.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:6px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{padding:.35rem .6rem;text-align:right;white-space:nowrap}
th{position:sticky;top:0;background:var(--band);color:var(--soft);font-weight:600;cursor:help}td.text,th.text{text-align:left}
tbody tr:nth-child(even){background:var(--band)}svg{display:block;margin:.5rem 0}svg text{fill:var(--ink);font-size:12px}
.key span{display:inline-block;margin-right:1rem}.key i{display:inline-block;width:.8em;height:.8em;margin-right:.35em;border-radius:2px}
"""


def as_text(table: Table) -> str:
    """For a terminal: the brief columns that hold anything, numbers to the right."""
    columns = [column for column in table.columns if column.brief and _used(table, column)]
    cells = [[shown(row.get(column.name), column.unit) for column in columns] for row in table.rows]
    widths = [max(len(column.title), *(len(line[n]) for line in cells), 1) for n, column in enumerate(columns)]
    lines = ["  ".join(_aligned(column.title, column, width) for column, width in zip(columns, widths, strict=True))]
    lines.append("  ".join("─" * width for width in widths))
    for line in cells:
        row = (_aligned(text, column, width) for text, column, width in zip(line, columns, widths, strict=True))
        lines.append("  ".join(row).rstrip())
    return "\n".join(lines)


def as_csv(table: Table) -> str:
    """Every column, a header of names; a value that is not known is empty. Decimals are exact."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.name for column in table.columns])
    for row in table.rows:
        writer.writerow([_harmless(exact(row.get(column.name))) for column in table.columns])
    return out.getvalue()


def as_json(table: Table, about: Mapping[str, Value]) -> str:
    """Every column, with what it means; decimals as text, null for what is not known."""
    columns = [{"name": c.name, "unit": c.unit.value, "meaning": c.meaning} for c in table.columns]
    rows = [{c.name: exact(row.get(c.name)) for c in table.columns} for row in table.rows]
    return json.dumps({**about, "by": table.name, "columns": columns, "rows": rows}, indent=1)


def as_html(tables: Sequence[Table], title: str, lead: str) -> str:
    """One page, styles and drawings in it."""
    sections = "\n".join(_section(table) for table in tables)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>\n'
        f"<h1>{escape(title)}</h1><p>{escape(lead)}</p>\n{sections}\n</body></html>\n"
    )


def _section(table: Table) -> str:
    columns = [column for column in table.columns if _used(table, column)]
    head = "".join(
        f'<th class="{_class(column)}" title="{escape(column.meaning, quote=True)}">{escape(column.title)}</th>'
        for column in columns
    )
    body = "\n".join(
        "<tr>"
        + "".join(f'<td class="{_class(c)}">{escape(shown(row.get(c.name), c.unit))}</td>' for c in columns)
        + "</tr>"
        for row in table.rows
    )
    if not table.rows:
        return f"<section><h2>{escape(table.title)}</h2><p>Nothing in this time.</p></section>"
    return (
        f"<section><h2>{escape(table.title)}</h2>{_bars(table)}"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></section>'
    )


def _bars(table: Table) -> str:
    """The parts of each row's cost as a bar, costs to the right of the line and gains to the left."""
    rows = [row for row in table.rows if row.get("total_bps") is not None]
    if not 0 < len(rows) <= 24:
        return ""
    parts = [[float(_number(row.get(f"{name}_bps"))) for name in PARTS] for row in rows]
    right = max(sum(value for value in line if value > 0) for line in parts)
    left = max(-sum(value for value in line if value < 0) for line in parts)
    scale = 640 / ((right + left) or 1.0)
    zero, height = 220 + left * scale, 24
    marks = []
    for n, (row, line) in enumerate(zip(rows, parts, strict=True)):
        name = " ".join(
            str(row.get(key) or "") for key in (table.columns[0].name, "parent_id", "currency") if row.get(key)
        )
        plus, minus = zero, zero
        marks.append(f'<text x="0" y="{n * height + 16}">{escape(name[:34])}</text>')
        for value, colour, part in zip(line, _COLOURS, PARTS, strict=True):
            width = abs(value) * scale
            if value > 0:
                x, plus = plus, plus + width
            else:
                x = minus = minus - width
            if width:
                marks.append(
                    f'<rect x="{x:.1f}" y="{n * height + 4}" width="{width:.1f}" height="15" fill="{colour}">'
                    f"<title>{part} {value:.3f} bp</title></rect>"
                )
    marks.append(f'<line x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{len(rows) * height}" stroke="currentColor"/>')
    key = "".join(
        f'<span><i style="background:{colour}"></i>{name}</span>'
        for name, colour, column in zip(PARTS, _COLOURS, zip(*parts, strict=True), strict=True)
        if any(column)
    )
    drawing = f'<svg width="100%" viewBox="0 0 880 {len(rows) * height}" role="img">{"".join(marks)}</svg>'
    return f'<p class="key">{key} basis points of the arrival value; right of the line: it cost us</p>{drawing}'


def _used(table: Table, column: Column) -> bool:
    """Whether a column holds anything worth its room."""
    if not table.rows or column.unit in (Unit.COUNT, Unit.QUANTITY):
        return True
    return any(row.get(column.name) not in (None, "", 0) for row in table.rows)


def _aligned(text: str, column: Column, width: int) -> str:
    return text.ljust(width) if column.unit is Unit.TEXT else text.rjust(width)


def _class(column: Column) -> str:
    return "text" if column.unit is Unit.TEXT else "number"


def _number(value: Value) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(0)


def _harmless(value: str | int | float | None) -> str | int | float | None:
    """A text that a spreadsheet would take for a formula is quoted; numbers stay numbers."""
    if isinstance(value, str) and value[:1] in ("=", "+", "@", "\t", "\r"):
        return f"'{value}"
    return value
