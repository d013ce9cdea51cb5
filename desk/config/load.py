"""Reading the configuration: TOML file, then environment overlay, then typed structs; every fault at once, with file, key and line.

`KERB__SECTION__KEY=value` overrides one key (lists and tables as JSON); `SUPPORTED_EXCHANGES=okx,kraken` narrows the venues.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from desk.config.model import DeskConfig
from desk.errors import ConfigFault

ENV_PREFIX = "KERB__"


class Resolved(msgspec.Struct, frozen=True):
    """A configuration and where each value that is not a default came from ("file:line" or the variable's name)."""

    config: DeskConfig
    sources: dict[str, str]


def load(path: Path | None, environ: Mapping[str, str] = os.environ) -> Resolved:
    """Read, overlay, check. Raises `ConfigFault` that lists every fault found."""
    text = ""
    if path is not None:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as fault:
            raise ConfigFault(f"cannot read {path}: {fault.strerror}") from fault
        except UnicodeDecodeError as fault:
            raise ConfigFault(f"{path}: not UTF-8 text") from fault
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise ConfigFault(f"{path}: {fault}") from fault
    where = str(path) if path else "environment"
    lines = _lines_of(text)
    sources = {key: f"{where}:{line}" for key, line in lines.items()}
    faults: list[str] = []
    for name, value in sorted(environ.items()):
        if name.startswith(ENV_PREFIX):
            key = name[len(ENV_PREFIX) :].lower().split("__")
            _overlay(tree, key, value, name, faults)
            sources[".".join(key)] = name
    _check(tree, DeskConfig, "", sources, where, faults)
    if faults:
        raise ConfigFault("configuration has faults:\n  " + "\n  ".join(faults))
    config = msgspec.convert(tree, DeskConfig, strict=False)
    return Resolved(_narrow(config, environ), sources)


def _overlay(tree: dict[str, Any], key: list[str], value: str, name: str, faults: list[str]) -> None:
    node = tree
    for part in key[:-1]:
        child = node.setdefault(part, {})
        if not isinstance(child, dict):
            faults.append(f"{name}: {'.'.join(key)} lies inside a value that is not a table")
            return
        node = child
    if value[:1] in "[{":
        try:
            node[key[-1]] = json.loads(value)
        except json.JSONDecodeError as fault:
            faults.append(f"{name}: not JSON: {fault.msg}")
        return
    node[key[-1]] = value


def _check(tree: object, kind: Any, path: str, sources: Mapping[str, str], where: str, faults: list[str]) -> None:
    """Collect the faults of `tree` against `kind`, table by table, so that one run shows them all."""
    struct = _struct_in(kind)
    if struct is not None and isinstance(tree, dict):
        fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
        faults_before = len(faults)
        for key, value in tree.items():
            at = f"{path}.{key}" if path else key
            if key not in fields:
                near = difflib.get_close_matches(key, fields, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else f"; valid: {', '.join(sorted(fields))}"
                faults.append(f"{_place(at, sources, where)}: unknown key {at!r}{hint}")
            else:
                _check(value, fields[key].type, at, sources, where, faults)
        for name, field in fields.items():
            if field.required and name not in tree:
                faults.append(f"{_place(path, sources, where)}: {path or 'the file'} lacks {name!r}")
        if len(faults) == faults_before:  # each value by itself is good: now what the table demands as a whole
            _check_whole(tree, struct, path, sources, where, faults)
        return
    item = _item_in(kind)
    if item is not None and isinstance(tree, list) and _struct_in(item) is not None:
        for index, value in enumerate(tree):
            _check(value, item, f"{path}[{index}]", sources, where, faults)
        return
    value_kind = _value_in(kind)
    if value_kind is not None and isinstance(tree, dict) and _struct_in(value_kind) is not None:
        for key, value in tree.items():
            _check(value, value_kind, f"{path}.{key}", sources, where, faults)
        return
    try:
        msgspec.convert(tree, kind, strict=False)
    except msgspec.ValidationError as fault:
        hint = (
            f"; valid: {', '.join(map(str, typing.get_args(kind)))}"
            if typing.get_origin(kind) is typing.Literal
            else ""
        )
        faults.append(f"{_place(path, sources, where)}: {path}: {_said(fault)}{hint}")


def _said(fault: msgspec.ValidationError) -> str:
    """The message without its own idea of the place: ours has file, key and line."""
    return str(fault).partition(" - at `$")[0]


def _check_whole(
    tree: dict[str, Any],
    struct: type[msgspec.Struct],
    path: str,
    sources: Mapping[str, str],
    where: str,
    faults: list[str],
) -> None:
    """A table's own rules (`__post_init__`); the fault is placed at the key that its message begins with, if there is one."""
    try:
        msgspec.convert(tree, struct, strict=False)
    except msgspec.ValidationError as fault:
        message = _said(fault).removeprefix(f"{path}: ")
        name = message.partition(":")[0]
        at = ".".join(part for part in (path, name if name in tree else "") if part)
        faults.append(f"{_place(at, sources, where)}: {f'{path}: ' if path else ''}{message}")


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return next((found for arm in typing.get_args(kind) if (found := _struct_in(arm))), None)
    return None


def _item_in(kind: Any) -> Any:
    return typing.get_args(kind)[0] if typing.get_origin(kind) in (tuple, list) else None


def _value_in(kind: Any) -> Any:
    return typing.get_args(kind)[1] if typing.get_origin(kind) is dict else None


def _place(key: str, sources: Mapping[str, str], where: str) -> str:
    within = next(
        (source for known, source in sources.items() if key and known.startswith((f"{key}.", f"{key}["))), where
    )
    while key and key not in sources:
        key = key.rpartition(".")[0]
    return sources.get(key, within)


_TABLE = re.compile(r"^\s*\[(\[)?\s*([^\]]+?)\s*\]")
_KEY = re.compile(r"^\s*([A-Za-z0-9_\-\"./]+)\s*=")


def _lines_of(text: str) -> dict[str, int]:
    """Line number of every `[table]` and `key =` of a TOML text; arrays of tables count from 0."""
    found: dict[str, int] = {}
    counts: dict[str, int] = {}
    prefix = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if table := _TABLE.match(line):
            name = table[2].replace('"', "")
            if table[1]:
                counts[name] = counts.get(name, -1) + 1
                name = f"{name}[{counts[name]}]"
            prefix = name
            found[prefix] = number
        elif key := _KEY.match(line):
            name = key[1].replace('"', "")
            found[f"{prefix}.{name}" if prefix else name] = number
    return found


def _narrow(config: DeskConfig, environ: Mapping[str, str]) -> DeskConfig:
    wanted = [name.strip().lower() for name in environ.get("SUPPORTED_EXCHANGES", "").split(",") if name.strip()]
    if not wanted:
        return config
    known = {venue.exchange.lower() for venue in config.venues}
    if strangers := [name for name in wanted if name not in known]:
        raise ConfigFault(
            f"SUPPORTED_EXCHANGES names {', '.join(strangers)}; configured exchanges are {', '.join(sorted(known)) or 'none'}"
        )
    kept = tuple(venue for venue in config.venues if venue.exchange.lower() in wanted)
    return msgspec.structs.replace(config, venues=kept)
