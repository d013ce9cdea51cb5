"""The walk-forward report of a slippage model, for a person."""

from __future__ import annotations

from typing import Any


def lines(report: dict[str, Any]) -> list[str]:
    """Coverage and pinball loss on orders later than those trained on, beside theory and the bare walk of the book; then calibration."""
    data = report["trained_on"]
    found = [
        f"trained on  {data['orders']:,} orders: {data['source']}",
        f"left out    {', '.join(f'{reason} {count}' for reason, count in sorted(data['left_out'].items())) or 'none'}",
        f"held out    {report['held_out']:,} orders in {len(report['folds'])} folds, each later than what its model was trained on",
        "",
        f"{'':<12}{'below P50':>11}{'below P90':>11}{'pinball P50':>13}{'pinball P90':>13}  (bps; 50 % and 90 % are right)",
    ]
    for name, label in (("model", "model"), ("theory", "theory"), ("book_walk", "book walk")):
        judged = report[name]
        p50, p90 = judged["coverage"]
        loss50, loss90 = judged["pinball_bps"]
        found.append(f"{label:<12}{p50:>10.1%} {p90:>10.1%} {loss50:>12.4f} {loss90:>12.4f}")
    found += ["", "fold        below P50  below P90   orders"]
    for number, fold in enumerate(report["folds"], start=1):
        p50, p90 = fold["coverage"]
        found.append(f"{number:<12}{p50:>9.1%} {p90:>10.1%} {fold['orders']:>8,}")
    found += [
        "",
        "predicted P50, tenths (bps)  " + "  ".join(f"{one['predicted_bps']:.2f}" for one in report["deciles"]),
    ]
    found += ["realised median              " + "  ".join(f"{one['realised_bps']:.2f}" for one in report["deciles"])]
    return found
