"""The control matrix as a page: what is checked, where, against which limit, and which rule asks for it. Made from the checks themselves.

python -m risk.matrix > docs/controls.md
"""

from __future__ import annotations

from risk.gate import control_matrix

_HEAD = """# Pre-trade controls

Every quote, trade and child order passes the gate (`risk/gate.py`), which asks these checks in this order; the first breach refuses.
Generated from the code by `python -m risk.matrix`; each row has a test that it passes at its limit and refuses beyond it
(`tests/unit/test_risk_gate.py`).

| check | stages | control | limit | source |
|---|---|---|---|---|
"""

_FOOT = """
Stages: `quote` before a firm price is told to a client, `trade` when a client accepts, `child` before an order leaves for a venue or LP.
A cancel never passes the gate, so a halt never blocks one. What is approved stays reserved (position, open value, client credit) until it
is filled, booked, released or, for a quote, has ended. An order whose outcome is unknown stays reserved until it is proven.
"""


def page() -> str:
    """The page in Markdown."""
    rows = (
        f"| `{row.check}` | {row.stages} | {row.control} | {row.limit} | {row.source} |" for row in control_matrix()
    )
    return _HEAD + "\n".join(rows) + "\n" + _FOOT


if __name__ == "__main__":
    print(page(), end="")
