"""`Quantiles`: a trained slippage model as flat arrays, kept in one JSON file, evaluated by one kernel. No pickle, no library.

The file holds the trees of both quantiles, the features in order, the range each had in training, what it was trained on (rows, times,
hash), how it did on rows it had not seen, and when it expires; its SHA-256 covers all of that, so a file that was cut short or edited is
refused. (A hash without a key proves integrity, not who wrote it: keep the file where only the desk's owner writes.)

    cost = sweep + σ·√w · (base + Σ leaves)     for each quantile; the two before the bracket are features of the row

Theory has the same form with constants in the bracket (`slippage_features.prior`); the trees learn the bracket, so that a market twice as
volatile is not a market never seen. Arithmetic is the library's own: float32 thresholds and leaves, float32 sums in tree order, left when
value < threshold, a missing value the tree's default way.

**A bigger order is never predicted cheaper**: the walk of the book never falls with the size, and where a tree asks for a feature that
grows with the size no leaf on the left is above a leaf on the right. That is checked when a file is read, node by node.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from numba import njit

from router.slippage.features import FEATURES, GROWING, SWEEP, WAIT, Floats

Words = npt.NDArray[np.int64]
Singles = npt.NDArray[np.float32]

KIND = "kerb slippage quantiles"
VERSION = 1
QUANTILES = (0.5, 0.9)
MOST_NODES = 1_000_000
MOST_BYTES = 64 * 1024 * 1024
NODE = 4  # words of a node: feature (-1: a leaf), left, right, 1 when a missing value goes left
IN, OUTSIDE, LARGER = 0, 1, 2  # of the training range: inside, outside, larger than anything trained on


class ModelFault(ValueError):
    """A model file that cannot be used; the message says why in one line."""


class Tree(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tree, root first, a node before what is below it. A leaf has feature -1; `value` is a leaf's value or a split's threshold."""

    feature: list[int]
    left: list[int]
    right: list[int]
    missing_left: list[bool]
    value: list[float]


class ModelFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file. `trees` by quantile; `ranges`: least and greatest of each feature in training; times in ns since the epoch."""

    kind: str = KIND
    version: int = VERSION
    features: tuple[str, ...] = FEATURES
    base: tuple[float, float]
    trees: tuple[list[Tree], list[Tree]]
    ranges: list[tuple[float, float]]
    trained_on: dict[str, Any]
    metrics: dict[str, Any]
    created_ns: int
    expires_ns: int
    sha256: str = ""

    def digest(self) -> str:
        """SHA-256 of the canonical file without its `sha256`."""
        bare = msgspec.structs.replace(self, sha256="")
        return hashlib.sha256(msgspec.json.encode(bare, order="deterministic")).hexdigest()


class Quantiles:
    """A model ready to answer. `words`, `singles`, `bounds` are the arenas of `evaluate`."""

    def __init__(self, file: ModelFile) -> None:
        _check(file)
        self.file = file
        trees = [tree for quantile in file.trees for tree in quantile]
        nodes = sum(len(tree.feature) for tree in trees)
        self.words: Words = np.zeros(2 + len(trees) + NODE * nodes, dtype=np.int64)
        self.singles: Singles = np.zeros(2 + nodes, dtype=np.float32)
        self.bounds: Floats = np.array(file.ranges, dtype=np.float64).ravel()
        self.words[:2] = len(file.trees[0]), len(file.trees[1])
        self.singles[:2] = file.base
        at = 0
        for number, tree in enumerate(trees):
            self.words[2 + number] = at
            first = 2 + len(trees) + NODE * at
            n = len(tree.feature)
            block = self.words[first : first + NODE * n].reshape(n, NODE)
            block[:, 0], block[:, 3] = tree.feature, tree.missing_left
            block[:, 1], block[:, 2] = np.array(tree.left) + at, np.array(tree.right) + at
            self.singles[2 + at : 2 + at + n] = tree.value
            at += n

    @classmethod
    def sealed(cls, file: ModelFile) -> Quantiles:
        """A model that was just made: given its hash, then checked like any other."""
        return cls(msgspec.structs.replace(file, sha256=file.digest()))

    @property
    def name(self) -> str:
        """The first characters of its hash: what logs and records call it."""
        return self.file.sha256[:12]

    def predict(self, row: Floats, out: Floats) -> int:
        """P50 and P90 in bps into `out`; returns where the row lies: `IN`, `OUTSIDE` or `LARGER`."""
        return int(evaluate(self.words, self.singles, self.bounds, row, out))


@njit(cache=True, nogil=True)
def evaluate(words: Words, singles: Singles, bounds: Floats, row: Floats, out: Floats) -> int:
    """Both quantiles of one row. `out[1]` is never below `out[0]`. Returns `IN`, `OUTSIDE` or `LARGER`."""
    trees = words[0] + words[1]
    nodes = 2 + trees
    tree = 0
    for quantile in range(2):
        total = singles[quantile]
        for _ in range(words[quantile]):
            node = words[2 + tree]
            tree += 1
            at = nodes + NODE * node
            while words[at] >= 0:
                value = np.float32(row[words[at]])
                if np.isnan(value):
                    node = words[at + 1] if words[at + 3] == 1 else words[at + 2]
                else:
                    node = words[at + 1] if value < singles[2 + node] else words[at + 2]
                at = nodes + NODE * node
            total += singles[2 + node]
        out[quantile] = row[SWEEP] + row[WAIT] * float(total)
    out[1] = max(out[0], out[1])
    larger = False
    for i in range(row.shape[0]):
        low, high = bounds[2 * i], bounds[2 * i + 1]
        if not row[i] >= low or not row[i] <= high:  # NaN is outside
            if i >= GROWING or not row[i] >= low:
                return OUTSIDE
            larger = True
    return LARGER if larger else IN


def save(file: ModelFile, path: Path) -> Quantiles:
    """Write it with its hash, whole or not at all."""
    model = Quantiles.sealed(file)
    part = path.with_suffix(path.suffix + ".part")
    part.write_bytes(msgspec.json.encode(model.file, order="deterministic") + b"\n")
    part.replace(path)
    return model


def load(path: Path) -> Quantiles:
    """Read and check a model. Raises `ModelFault`."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ModelFault(f"{path}: larger than any model of this kind")
        return Quantiles(msgspec.json.decode(path.read_bytes(), type=ModelFile))
    except OSError as fault:
        raise ModelFault(f"{path}: {fault.strerror}") from fault
    except msgspec.DecodeError as fault:
        raise ModelFault(f"{path}: not a slippage model: {fault}") from fault
    except ModelFault as fault:
        raise ModelFault(f"{path}: {fault}") from fault


def _check(file: ModelFile) -> None:
    """Raise `ModelFault` unless every number may be followed blindly."""
    if (file.kind, file.version) != (KIND, VERSION):
        raise ModelFault(f"{file.kind} version {file.version} is not {KIND} version {VERSION}")
    if file.sha256 != file.digest():
        raise ModelFault("its content does not have the hash it names: it was changed or cut short")
    if file.features != FEATURES or len(file.ranges) != len(FEATURES):
        raise ModelFault("it was trained on other features than this version has")
    if not np.isfinite(file.base).all() or not np.isfinite(file.ranges).all():
        raise ModelFault("a number of it is not finite")
    if sum(len(tree.feature) for quantile in file.trees for tree in quantile) > MOST_NODES:
        raise ModelFault("it has more nodes than any model of this kind")
    for quantile in file.trees:
        for tree in quantile:
            _check_tree(tree)


def _check_tree(tree: Tree) -> None:
    n = len(tree.feature)
    if n == 0 or any(len(column) != n for column in (tree.left, tree.right, tree.missing_left, tree.value)):
        raise ModelFault("a tree's columns differ in length")
    if not np.isfinite(tree.value).all():
        raise ModelFault("a tree has a number that is not finite")
    least, most = list(tree.value), list(tree.value)  # of the leaves below each node
    for node in reversed(range(n)):
        feature = tree.feature[node]
        if feature == -1:
            continue
        if not 0 <= feature < len(FEATURES):
            raise ModelFault(f"a tree splits on feature {feature}")
        if not node < tree.left[node] < n or not node < tree.right[node] < n:  # downwards only: every walk ends
            raise ModelFault("a tree's branch leads nowhere")
        left, right = tree.left[node], tree.right[node]
        if feature < GROWING and most[left] > least[right]:
            raise ModelFault(f"a tree lets the cost fall as {FEATURES[feature]} grows")
        least[node], most[node] = min(least[left], least[right]), max(most[left], most[right])
