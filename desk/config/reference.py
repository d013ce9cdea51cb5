"""`docs/configuration.md`, made from the configuration's structs: every key, its default, and the comment or docstring that explains it.

python -m desk.config.reference > docs/configuration.md
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import textwrap
import tokenize
import types
import typing
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from desk.config.model import DeskConfig

HEAD = """\
# Configuration

*Made by `python -m desk.config.reference` from the structs; a test keeps it true.*

One TOML file, usually `desk.toml`:

    kerb config init                        # write one to start from (paper mode, no keys needed)
    kerb config check --config desk.toml    # every fault at once, with file, key and line; exit 2
    kerb config show --config desk.toml     # every value with where it comes from; passwords in URLs are masked
    kerb config schema                      # JSON Schema, for editors
    kerb doctor --config desk.toml          # is this machine, and what the file names, fit for a desk?

Unknown keys are refused with the nearest valid name. Amounts are decimal strings (`"0.01"`); relative paths count from where
`kerb` is started. A table without required keys may be left out; without `[archive]` nothing is archived.

## Environment

* `KERB__SECTION__KEY=value` overrides one key: `KERB__API__PORT=9000`,
  `KERB__HEDGING__BANDS='{"BTC": {"soft": "1", "hard": "5"}}'`. Names are lower-cased, so keys with capitals in them (currencies,
  venues) are given as JSON of the table above them. Lists and tables are JSON and replace the whole value.
* `SUPPORTED_EXCHANGES=kraken` narrows the venues of the file; a name that is not among them is a fault.
* Secrets stand nowhere else: `{VENUE}_API_KEY`, `{VENUE}_API_SECRET`, `{VENUE}_PASSPHRASE` by venue or LP name, and
  `KERB_MASTER_KEY` (32 bytes, base64 or hex) instead of the file `master.key` of the state folder.

## Modes

* `mode = "paper"` (default): prices are the venues' own, execution is imagined in the desk's process
  ([why and how](adr/0009-paper-trading-is-done-by-an-execution-client-of-ours.md)). Exchanges need no keys; an enabled LP does,
  because it quotes to its clients only.
* `mode = "live"`: real orders, and only when `kerb run --live` is typed as well.
* A state folder belongs to one mode for ever: the other mode refuses to continue it.
"""


class Row(msgspec.Struct, frozen=True):
    """One key. `default` "" means required."""

    key: str
    kind: str
    default: str
    meaning: str


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, about, rows in _tables(DeskConfig, ""):
        parts.append(f"## {title}\n\n{about}\n\n| key | type | default | meaning |\n|---|---|---|---|")
        parts.append(
            "\n".join(f"| `{row.key}` | {row.kind} | {row.default or '**required**'} | {row.meaning} |" for row in rows)
            + "\n"
        )
    return "\n".join(parts)


def unexplained() -> list[str]:
    """Keys that neither a comment nor a docstring explains."""
    return [f"{title}: {row.key}" for title, _, rows in _tables(DeskConfig, "") for row in rows if not row.meaning]


def _tables(struct: type[msgspec.Struct], path: str) -> Iterator[tuple[str, str, list[Row]]]:
    rows: list[Row] = []
    inner: list[tuple[type[msgspec.Struct], str]] = []
    comments, doc = _comments(struct), _doc(struct)
    for field in msgspec.structs.fields(struct):
        name = field.encode_name
        found, form = _table_in(field.type)
        if found is not None:
            inner.append((found, f"{path}.{name}{form}" if path else f"{name}{form}"))
            continue
        meaning = comments.get(name) or _said_in(doc, name)
        rows.append(Row(name, _kind(field.type), _default(field), meaning.replace("|", "\\|")))
    title = f"`[{path}]`" if not path.endswith("[]") else f"`[[{path[:-2]}]]`"
    if rows:
        yield title if path else "Top level", doc, rows
    for found, at in inner:
        yield from _tables(found, at)


def _table_in(kind: Any) -> tuple[type[msgspec.Struct] | None, str]:
    """The struct that a key holds, and how its table is spelt: one, a list of them, or one a name."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind, ""
    origin, arms = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return next((_table_in(arm) for arm in arms if _table_in(arm)[0]), (None, ""))
    if origin in (tuple, list) and _table_in(arms[0])[0]:
        return _table_in(arms[0])[0], "[]"
    if origin is dict and _table_in(arms[1])[0]:
        return _table_in(arms[1])[0], ".<name>"
    return None, ""


def _kind(kind: Any) -> str:
    """A type in words."""
    origin, arms = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        limits = arms[1]
        bounds = [
            f"{sign} {bound:g}"
            for sign, bound in ((">", limits.gt), ("≥", limits.ge), ("≤", limits.le))
            if bound is not None
        ]
        return " ".join([_kind(arms[0]), ", ".join(bounds)]).strip()
    if origin is typing.Literal:
        return " or ".join(f'`"{arm}"`' for arm in arms)
    if origin is types.UnionType:
        return " or ".join(_kind(arm) for arm in arms if arm is not types.NoneType)
    if origin in (tuple, list):
        return f"list of {_kind(arms[0])}"
    if origin is dict:
        return f"table of {_kind(arms[1])}"
    return {str: "text", int: "integer", float: "number", bool: "true or false", Decimal: "decimal"}.get(
        kind, str(kind)
    )


def _default(field: Any) -> str:
    if field.required:
        return ""
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if value is None:
        return "left out"
    if isinstance(value, Decimal):
        return f'`"{value:f}"`'
    return f"`{msgspec.json.encode(value).decode()}`"


def _doc(struct: type[msgspec.Struct]) -> str:
    return " ".join(inspect.cleandoc(struct.__doc__ or "").split())


def _said_in(doc: str, name: str) -> str:
    """What a docstring says after "`name`:", up to the next name it explains."""
    found = re.search(rf"`{name}`(?:, `\w+`)*: (.+?)(?=\s*`\w+`(?:, `\w+`)*(?: and `\w+`)?:|$)", doc)
    return found[1].rstrip(" ;") if found else ""


def _comments(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The comment beside each field of a struct, as it stands in the source."""
    source = textwrap.dedent(inspect.getsource(struct))
    at_line: dict[int, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            at_line[token.start[0]] = token.string.removeprefix("#").strip()
    (body,) = ast.parse(source).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            found[node.target.id] = " ".join(at_line[line] for line in lines if line in at_line)
    return found


if __name__ == "__main__":
    print(page(), end="")
