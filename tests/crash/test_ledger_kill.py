"""`kill -9` in the middle of writes: every trade and fill that was confirmed is there once, and the books add up."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from desk.ledger import Ledger

# Confirms each trade and each sent order on stdout, as a desk confirms to its client, from the `then` of the write.
DESK = """
import sys
from desk.ledger import Ledger
from desk.rfq.records import RfqState
from tests.oracles import ledger_records as make
from router.orders import ChildState

ledger = Ledger(sys.argv[1])
n = int(sys.argv[2])
def confirm(line):
    def then(error=None):
        if error is None:
            sys.stdout.write(line + "\\n")
            sys.stdout.flush()
    return then
while True:
    n += 1
    taken = make.quote(n)
    ledger.save_quotes(make.rfq(n, quotes=(taken,)), [taken], confirm(f"quote q{n}"))
    ledger.save_trade(make.trade(n), make.rfq(n, RfqState.FILLED, (taken,), trade_id=f"t{n}"), then=confirm(f"trade t{n}"))
    ledger.parent(make.parent(n))
    ledger.child(make.child(n, n), confirm(f"child k{n}"))
    ledger.fill(make.fill(n), f"p{n}")
    ledger.child(make.child(n, n, ChildState.FILLED))
    if ledger.waiting > 200:
        ledger.flush()
"""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_was_confirmed_survives_kill_9(tmp_path: Path, seed: int) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    dice = random.Random(seed)
    confirmed: set[str] = set()
    next_number = 0
    for _ in range(2):  # the second life goes on with the ledger of the first
        desk = subprocess.Popen([sys.executable, "-c", DESK, url, str(next_number)], stdout=subprocess.PIPE, text=True)
        assert desk.stdout is not None
        lines = [desk.stdout.readline() for _ in range(dice.randrange(20, 400))]
        desk.send_signal(signal.SIGKILL)
        lines += desk.stdout.read().splitlines(keepends=True)
        desk.wait()
        desk.stdout.close()
        confirmed |= {line.strip() for line in lines if line.endswith("\n")}

        ledger = Ledger(url)  # opening holds trades and fills against their postings
        assert not any(ledger.verify().values())
        for line in confirmed:
            kind, name = line.split()
            match kind:
                case "quote":
                    assert ledger.quote(name) is not None, line
                case "trade":
                    assert ledger.trade(name) is not None, line
                    assert ledger.rfq(f"r{name[1:]}").trade_id == name
        kids = {kid.child_id for _, children in ledger.open_parents() for kid in children}
        assert {line.split()[1] for line in confirmed if line.startswith("child")} <= kids
        trades, _ = ledger.trades(None, limit=500)
        assert len(trades) == min(500, ledger.counts().trades)
        assert ledger.counts().trades == len({one.client_order_id for one in trades}) or len(trades) == 500
        assert ledger.counts().rfqs["filled"] == ledger.counts().trades  # trade and request state in one transaction
        next_number = max(one.traded_ns for one in trades) + 10_000
        ledger.close()
    assert len(confirmed) > 40
