"""How long does the live splitter take, from books in hand to a certified plan, beside what one would use instead?

In compiled code by the processor's own clock, over 2,000 distinct orders one after the other (books in the caches, branch
predictors not trained on any one order); called from Python, taking turns with the peers; and from decimals to decimals as
the router asks it. Peers get the same books and the same order; what each leaves out is said.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks import peers, tsc
from benchmarks.live_orders import LiveOrders, arguments
from benchmarks.native import Native
from benchmarks.row import Case, Row, rows, side_by_side
from benchmarks.targets import GCC, MILP, SORT
from pricing.book import Array
from pricing.entry import entry
from router.exact.problem import Problem
from router.exact.split import split
from router.live import fast, layout, merge

SHAPES = ((5, 50, 25), (20, 400, 8))  # venues, levels, sets of books
ORDERS = 2_000
ROUNDS = 5
CALLS = 200
SLOW = 20  # of a peer that takes milliseconds
ONE_LOT = ("0.00001",)


def live_split(orders: int = ORDERS) -> list[Row]:
    """Kernel beside C, kernel with quotes, kernel from Python beside peers, and decimals to decimals, for each shape."""
    report: list[Row] = []
    per_ns = tsc.per_ns()
    native = Native.build()
    for venues, depth, sets in SHAPES:
        shape = f"{venues}x{depth}"
        straight = LiveOrders(venues, depth, 0, count=orders, sets=sets, lots=ONE_LOT)
        report += _beside_c(shape, straight, native, per_ns)
        report += _called(shape, straight)
        plain = LiveOrders(venues, depth, 0, count=orders, sets=sets)
        quoted = LiveOrders(venues, depth, 6, count=orders, sets=sets)
        report += _kernel(shape, plain, per_ns, "mixed lots, minimums and balances")
        report += _kernel(f"{shape}+6", quoted, per_ns, "the same and 6 LP quotes")
        report += _from_python(shape, plain, depth)
        report += _from_python(f"{shape}+6", quoted, depth)
        report += _decimals(f"{shape}+6", quoted)
    return report


def _beside_c(shape: str, orders: LiveOrders, native: Native | None, per_ns: float) -> list[Row]:
    """The certified path without quotes against C, orders of which the relaxation is a plan; answers compared word by word."""
    question = (
        f"certified plan for one order over {shape} levels, one lot size, no quotes; compiled code, cycle counter"
    )
    if native is None:
        times = [orders.timed()[0] for _ in range(ROUNDS)]
        return rows(f"split.fast {shape}", question, _ns(times, per_ns), {}, "no C compiler here: not compared")
    work = layout.new_order(*orders.shape)
    run = partial(native.timed, orders.books, orders.which, orders.rows, work)
    candidates: dict[str, Callable[[int], tuple[Array, Array]]] = {
        "numba": lambda plain: orders.timed(),
        GCC: run,
        "gcc -O3 -march=native, one level at a time": lambda plain: run(layout.NONE),
    }
    taken: dict[str, list[Array]] = {name: [] for name in candidates}
    straight = np.ones(len(orders.rows), dtype=bool)
    for turn in range(ROUNDS + 1):
        for name, candidate in candidates.items():
            cycles, verdicts = candidate(merge.PLAIN)
            if name != "numba":
                straight &= verdicts == fast.CERTIFIED
            if turn:
                taken[name].append(cycles)
    for i in np.flatnonzero(straight)[:: max(1, len(straight) // 400)]:
        book = orders.lay(int(i), orders.work)
        orders.lay(int(i), work)
        same = (
            fast.certify(book.ctypes.data, orders.work.ctypes.data)
            == native.certify(book, work, merge.PLAIN)
            == fast.CERTIFIED
        )
        if not same or not np.array_equal(_plan(orders.work), _plan(work)):
            raise AssertionError(f"numba and C disagree about order {i} of {shape}")
    note = f"equal answers; {int(straight.sum())} of {len(straight)} orders, the rest is not decided by the relaxation alone"
    ours, *others = [_ns([times[straight] for times in all_], per_ns) for all_ in taken.values()]
    return rows(f"split.fast {shape}", question, ours, dict(zip(list(taken)[1:], others, strict=True)), note)


def _plan(work: Array) -> Array:
    """Lots, notional and worst price of every venue that takes part."""
    found = work[int(layout.HEAD) :][: int(work[layout.W_VENUES] * layout.VENUE)].reshape(-1, int(layout.VENUE))
    plan = found[:, int(layout.OUT_LOTS) : int(layout.OUT_WORST) + 1]
    return plan[plan[:, 0] > 0]


def _kernel(shape: str, orders: LiveOrders, per_ns: float, what: str) -> list[Row]:
    times = [orders.timed()[0] for _ in range(ROUNDS + 1)][1:]
    decided = ", ".join(f"{count} {name}" for name, count in orders.verdicts.most_common())
    question = f"one order over {shape} levels, {what}, searched where it must be; compiled code, cycle counter"
    return rows(f"split.kernel {shape}", question, _ns(times, per_ns), {}, f"of {len(orders.rows)} orders: {decided}")


def _ns(times: list[Array], per_ns: float) -> list[int]:
    """Each order's least of all rounds: what other processes take of a shared machine is no part of an order."""
    return (np.minimum.reduce(times) / per_ns).astype(np.int64).tolist()


def _called(shape: str, orders: LiveOrders) -> list[Row]:
    """The certified path of orders without quotes called from Python, as the splitter calls it: alone, and between other
    work."""
    chosen = [i for i in range(0, len(orders.rows), max(1, len(orders.rows) // CALLS)) if orders.certified[i]]
    lay, ours = _calls(orders, chosen)
    mine, _ = side_by_side(ours, {}, 10, lay)
    question = f"the same called from Python, over {shape} levels"
    report = rows(f"split.fast.python {shape}", question, mine, {}, "the timer in it")
    numbers = np.arange(40_000) * 7919 % 40_009  # a third of a MiB

    def elsewhere(lay: Case) -> None:
        lay()
        np.sort(numbers)

    mine, _ = side_by_side(ours, {}, 2, [partial(elsewhere, each) for each in lay])
    question = "the same, each call after a sort of 40,000 numbers: what caches and branch predictors are worth"
    return report + rows(f"split.fast.between {shape}", question, mine, {})


def _calls(orders: LiveOrders, chosen: list[int]) -> tuple[list[Case], list[Case]]:
    """What lays each order into the splitter's words, and what solves it."""
    call, order_at = entry(fast.certify, fast.CERTIFY), orders.work.ctypes.data
    lay: list[Case] = [partial(orders.lay, i, orders.work) for i in chosen]
    ours: list[Case] = [partial(call, orders.made[int(orders.which[i])].arena.ctypes.data, order_at) for i in chosen]
    return lay, ours


def _from_python(shape: str, orders: LiveOrders, depth: int) -> list[Row]:
    """One call from Python, taking turns with the peers on the same order."""
    chosen = [i for i in range(0, len(orders.requests), max(1, len(orders.requests) // CALLS)) if orders.certified[i]]
    lay, ours = _calls(orders, chosen)
    heap: list[Case] = []
    sort: list[Case] = []
    slow: list[Case] = []
    for i in chosen:
        problem = Problem(orders.requests[i])
        heap.append(partial(peers.heap_split, problem))
        whole = peers.SortSplit(orders.requests[i])
        sort.append(whole.run)
        found = orders.results[i]
        if (
            not orders.requests[i].quotes
            and found is not None
            and float(whole.cost()) < float(found.bound) * (1 - 1e-9)
        ):
            raise AssertionError("the sort found what is below our bound: one of them is wrong")
        if len(slow) < (4 if depth < 100 else 2):
            slow.append(partial(peers.milp_split, problem))
    others = {"python heap": heap, SORT: sort, MILP: slow}
    mine, theirs = side_by_side(ours, others, 10, lay)
    question = f"a certified plan for one order over {shape}, kernel called from Python"
    note = "heap: no lots, minimums, balances; sort: all of them, but no proof; neither knows quotes"
    return rows(f"split.certified {shape}", question, mine, theirs, note)


def _decimals(shape: str, orders: LiveOrders) -> list[Row]:
    """From decimals to decimals, as the router asks it."""
    chosen = range(0, len(orders.requests), max(1, len(orders.requests) // CALLS))
    whole, exact = [], []
    for i in chosen:
        if orders.certified[i]:
            one, book = orders.splitters[int(orders.which[i])], orders.made[int(orders.which[i])]
            whole.append(partial(one.solve, book, **arguments(orders.requests[i])))
            exact.append(partial(split, orders.requests[i]))
    mine, theirs = side_by_side(whole, {"exact search": exact[:SLOW]}, 2)
    return rows(f"split.live {shape}", "the same from decimals to decimals, as the router asks it", mine, theirs)
