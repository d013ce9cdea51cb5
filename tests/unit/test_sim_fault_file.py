"""A schedule of faults in a file: when each happens, the same every time, and one clear sentence for whatever is wrong with it."""

import asyncio
import itertools
from pathlib import Path

import pytest
from click.testing import CliRunner

from desk.errors import ConfigFault
from sim.cli import serve
from sim.servers.fault_file import read_faults, run_faults
from sim.servers.faults import Fault, FaultOrder

VENUES = ("BINANCE", "KRAKEN")
GOOD = """
seed = 7
[[fault]]
fault = "disconnect"
at = "10s"
every = "30s"
jitter = "5s"
[[fault]]
fault = "slow_rest"
at = "1m"
count = 20
ms = 1500
venue = "kraken"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "faults.toml"
    path.write_text(text)
    return path


def test_faults_happen_in_order_of_time_again_and_again_and_the_same_every_time(tmp_path):
    plan = read_faults(written(tmp_path, GOOD), VENUES)
    first, again = (list(itertools.islice(plan.timeline(VENUES, 1), 9)) for _ in range(2))
    assert first == again
    times = [due for due, _, _ in first]
    assert times == sorted(times)
    storms = [due for due, venue, order in first if order.fault is Fault.DISCONNECT and venue == "BINANCE"]
    assert [10 <= storms[0] <= 15, 40 <= storms[1] <= 45, 70 <= storms[2] <= 75] == [True] * 3
    assert {round(due % 30, 6) for due in storms} != {10.0}  # jittered
    assert [(due, venue, order.count) for due, venue, order in first if order.fault is Fault.SLOW_REST] == [
        (60.0, "KRAKEN", 20)
    ]
    drawn_apart = [due for due, venue, order in first if order.fault is Fault.DISCONNECT and venue == "KRAKEN"]
    assert drawn_apart[:3] != storms[:3]


def test_a_plan_is_done_to_the_servers_and_each_deed_told(tmp_path):
    text = '[[fault]]\nfault = "disconnect"\n[[fault]]\nfault = "silence"\nms = 20\nat = "20ms"\nvenue = "KRAKEN"\n'
    plan = read_faults(written(tmp_path, text), VENUES)
    done: list[tuple[str, FaultOrder]] = []
    said: list[str] = []

    class Server:
        def __init__(self, name: str) -> None:
            self.name = name

        def disturb(self, wanted: FaultOrder) -> None:
            done.append((self.name, wanted))

    asyncio.run(run_faults(plan, {name: Server(name) for name in VENUES}, 1, said.append))
    assert [(name, order.fault) for name, order in done] == [
        ("BINANCE", Fault.DISCONNECT),
        ("KRAKEN", Fault.DISCONNECT),
        ("KRAKEN", Fault.SILENCE),
    ]
    assert said[2].endswith("KRAKEN: silence, ms 20")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no [[fault]]"),
        ("seed = 'x'\n[[fault]]\nfault = 'clear'", "no whole number"),
        ("speed = 2\n[[fault]]\nfault = 'clear'", "unknown key 'speed'"),
        ("[[fault]]\nfault = 'explode'", "fault 1: Invalid enum value 'explode'"),
        (
            "[[fault]]\nfault = 'clear'\n[[fault]]\nfault = 'clear'\nwhen = '1s'",
            "fault 2: Object contains unknown field",
        ),
        ("[[fault]]\nfault = 'clear'\nat = 'soon'", "at: 'soon' is no time such as"),
        ("[[fault]]\nfault = 'clear'\nat = '-1s'", "is no time"),
        ("[[fault]]\nfault = 'clear'\nevery = '1ms'", "more often"),
        ("[[fault]]\nfault = 'maintenance'", "how long"),
        ("[[fault]]\nfault = 'clear'\nvenue = 'OKX'", "OKX is not served; there are BINANCE, KRAKEN"),
        ("[[fault]]\nfault = ", "Invalid value"),
        ("[[fault]]\nat = '1s'", "missing required field `fault`"),
    ],
)
def test_a_wrong_file_is_told_in_one_sentence(tmp_path, text, word):
    with pytest.raises(ConfigFault) as caught:
        read_faults(written(tmp_path, text), VENUES)
    assert word in str(caught.value)
    assert "faults.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_stops_serve_before_anything_listens(tmp_path):
    result = CliRunner().invoke(serve, ["kraken", "--faults", str(tmp_path / "none.toml")])
    assert isinstance(result.exception, ConfigFault)
    assert "cannot be read" in str(result.exception)
    assert "REST" not in result.output


def test_the_example_of_the_help_is_a_good_file(tmp_path):
    shown = CliRunner().invoke(serve, ["--help"]).output
    begin = shown.index("seed = 7")
    lines = itertools.takewhile(lambda line: not line.strip().startswith("docs/"), shown[begin:].splitlines())
    plan = read_faults(written(tmp_path, "\n".join(line.strip() for line in lines)), ("KRAKEN", "OKX"))
    assert [planned.order.fault for planned in plan.faults] == [Fault.DISCONNECT, Fault.SLOW_REST]


def test_a_fault_of_a_symbol_that_nobody_lists_is_refused_and_not_waited_for(tmp_path):
    plan = read_faults(
        written(tmp_path, "[[fault]]\nfault = 'drop_updates'\nsymbol = 'DOGE/USDT'\nvenue = 'KRAKEN'"), VENUES
    )
    plan.check({"BINANCE": ["BTC/USDT"], "KRAKEN": ["BTC/USDT", "DOGE/USDT"]})
    with pytest.raises(ConfigFault, match="drop_updates: DOGE/USDT is listed by no exchange"):
        plan.check({"BINANCE": ["DOGE/USDT"], "KRAKEN": ["BTC/USDT"]})


def test_faults_without_an_exchange_to_disturb_are_refused(tmp_path):
    with pytest.raises(ConfigFault, match="no exchange to disturb"):
        read_faults(written(tmp_path, GOOD), ())
