"""Requests into structs, and everything that can be wrong with them into `Invalid`.

    not JSON, not UTF-8, nested beyond reason          400 malformed_json
    JSON, but not what the route takes                 422 invalid_field, unknown_field, missing_field, duplicate_field;
    `details.field` says where

A field given twice is refused, since two readers of the same signed bytes could read it differently.

JSON numbers for prices and quantities are refused, since they have passed through a float somewhere; so are NaN,
infinities, exponents.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from desk.errors import Invalid

_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_NAMED = re.compile(r"(?:unknown|required) field `([^`]*)`")
_PATTERN = re.compile(r"Expected `str` matching regex .*", re.DOTALL)


def decode_body[T](raw: bytes, kind: type[T]) -> T:
    """The body of a REST request."""
    try:
        try:
            body = msgspec.json.decode(raw, type=kind)
        except msgspec.ValidationError as fault:
            # A wrong field in what is not JSON at all is 400, wherever the parser met it first.
            refuse_duplicates(raw)
            raise invalid(fault) from None
        refuse_duplicates(raw)
        return body
    except (msgspec.DecodeError, ValueError, RecursionError) as fault:
        raise Invalid("malformed_json", f"the body is not JSON: {fault}", status=400) from None


def refuse_duplicates(raw: bytes | str) -> None:
    """Raise `Invalid` when an object in this JSON has a field twice, `ValueError` when it is not JSON."""
    json.loads(raw, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Invalid("duplicate_field", f"field {twice[:64]!r} is given twice", details={"field": twice[:64]})
    return fields


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def convert_fields[T](fields: Mapping[str, Any], kind: type[T]) -> T:
    """The fields of a WebSocket frame, already decoded."""
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as fault:
        raise invalid(fault) from None


def convert_query[T](query: Mapping[str, str], kind: type[T]) -> T:
    """A query string: texts are read as the numbers the struct asks for."""
    try:
        return msgspec.convert(query, kind, strict=False)
    except msgspec.ValidationError as fault:
        raise invalid(fault) from None


def invalid(fault: msgspec.ValidationError) -> Invalid:
    """A validation fault in the API's words."""
    parts = _AT.match(str(fault))
    what = parts["what"] if parts else str(fault)
    path = ((parts["path"] if parts else None) or "$").removeprefix("$").removeprefix(".")
    named = _NAMED.search(what)
    code = "invalid_field"
    if named is not None:
        code = "unknown_field" if "unknown" in what else "missing_field"
        path = f"{path}.{named[1]}" if path else named[1]
    what = _PATTERN.sub("Expected text in the documented form (numbers are plain decimal text)", what)
    return Invalid(code, f"{what}: {path}" if path else what, details={"field": path})
