"""`/docs`: the OpenAPI document as one page. Nothing is fetched from anywhere, nothing runs: it works offline and under a strict CSP."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

CSP = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:62rem;padding:2rem;color:#1b1f24;background:#fff}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2.2rem;border-top:1px solid #d8dee4;padding-top:1rem}
code,.m{font-family:ui-monospace,monospace;font-size:.92em}.m{font-weight:700;margin-right:.5rem}
table{border-collapse:collapse;width:100%;margin:.5rem 0}td,th{text-align:left;vertical-align:top;padding:.25rem .6rem .25rem 0;
border-bottom:1px solid #eaeef2}th{color:#57606a;font-weight:600}.s{color:#57606a}a{color:#0550ae}
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}h2,td,th{border-color:#30363d}.s,th{color:#8d96a0}a{color:#6cb6ff}}
"""


def _ref(schema: Mapping[str, Any]) -> str:
    """A schema in one line, with links to the structs."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        return f'<a href="#{escape(name)}">{escape(name)}</a>'
    if "anyOf" in schema:
        return " or ".join(_ref(option) for option in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_ref(schema.get('items', {}))}"
    if isinstance(schema.get("additionalProperties"), Mapping):
        return f"map to {_ref(schema['additionalProperties'])}"
    limits = [f"{name} {schema[name]}" for name in ("minimum", "maximum", "minLength", "maxLength") if name in schema]
    kind = escape(str(schema.get("description") or schema.get("type", "any")))
    return f"{kind} <span class=s>{escape(', '.join(limits))}</span>" if limits else kind


def _table(schema: Mapping[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code>{'' if name in required else ' <span class=s>optional</span>'}</td>"
        f"<td>{_ref(part)}</td></tr>"
        for name, part in schema.get("properties", {}).items()
    )
    return f"<table><tr><th>field<th>value</tr>{rows}</table>" if rows else ""


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    parts = [
        f'<h2 id="{escape(operation["operationId"])}"><span class=m>{method.upper()}</span><code>{escape(path)}</code></h2>',
        f"<p>{escape(operation.get('description') or operation['summary'])}</p>",
    ]
    parts += [
        f"<p><code>{escape(parameter['name'])}</code> in {parameter['in']}: {_ref(parameter['schema'])}</p>"
        for parameter in operation.get("parameters", ())
    ]
    if "requestBody" in operation:
        parts.append(f"<p>Body: {_ref(operation['requestBody']['content']['application/json']['schema'])}</p>")
    rows = "".join(
        f"<tr><td>{code}</td><td>{_ref(answer['content']['application/json']['schema'])}</td>"
        f"<td class=s>{escape(answer['description'])}</td></tr>"
        for code, answer in operation["responses"].items()
    )
    parts.append(f"<table><tr><th>status<th>answer<th></tr>{rows}</table>")
    return "".join(parts)


def page(document: Mapping[str, Any]) -> str:
    """The whole page."""
    info = document["info"]
    operations = [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    contents = "".join(
        f'<li><a href="#{escape(operation["operationId"])}"><span class=m>{method.upper()}</span>{escape(path)}</a> '
        f"<span class=s>{escape(operation['summary'])}</span></li>"
        for method, path, operation in operations
    )
    structs = "".join(
        f'<h2 id="{escape(name)}">{escape(name)}</h2><p>{escape(schema.get("description", ""))}</p>{_table(schema)}'
        for name, schema in document["components"]["schemas"].items()
    )
    about = "".join(f"<p>{escape(part)}</p>" for part in info["description"].split("\n\n"))
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(info['title'])} API <span class=s>{escape(info['version'])}</span></h1>{about}"
        '<p><a href="/openapi.json">openapi.json</a> · <a href="/asyncapi.json">asyncapi.json</a></p>'
        f"<ul>{contents}</ul>{''.join(_operation(*operation) for operation in operations)}{structs}</body></html>"
    )
