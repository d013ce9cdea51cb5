"""Estimators of variance over a whole series, from the papers' formulas, with numpy: returns are variance per step."""

from __future__ import annotations

import numpy as np


def realised(x: np.ndarray, step: int = 1) -> float:
    """Σ (x_{i+step} − x_i)² of log prices on one grid, per tick."""
    grid = x[::step]
    return float(np.sum(np.diff(grid) ** 2) / (len(x) - 1))


def bipower(x: np.ndarray) -> float:
    """(π/2) Σ |r_i||r_{i−1}|, per tick (Barndorff-Nielsen and Shephard 2004)."""
    r = np.abs(np.diff(x))
    return float(np.pi / 2 * np.sum(r[1:] * r[:-1]) / (len(r) - 1))


def two_scale(x: np.ndarray, k: int) -> float:
    """Zhang, Mykland and Aït-Sahalia 2005: mean of the k subsampled sums − (n̄/n)·RV_all, small-sample adjusted."""
    n = len(x) - 1
    sums = [np.sum(np.diff(x[j::k]) ** 2) for j in range(k)]
    n_bar = (n - k + 1) / k
    whole = np.sum(np.diff(x) ** 2)
    return float((np.mean(sums) - n_bar / n * whole) / (1 - n_bar / n) / n)


def pre_averaged(x: np.ndarray, k: int) -> float:
    """Jacod, Li, Mykland, Podolskij and Vetter 2009 with g(u) = min(u, 1 − u) and windows of k ticks, per tick."""
    n = len(x) - 1
    g = np.minimum(np.arange(1, k) / k, 1 - np.arange(1, k) / k)
    psi2 = np.sum(g**2)
    psi1 = np.sum(np.diff(np.concatenate(([0.0], g, [0.0]))) ** 2)
    r = np.diff(x)
    averages = np.convolve(r, g[::-1], mode="valid")
    bias = psi1 * np.sum(r**2) / 2 * len(averages) / n
    return float((np.sum(averages**2) - bias) / psi2 / len(averages))
