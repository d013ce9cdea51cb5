"""How long do books, fair value, signals, volatility and concentration take? Beside plain Python or a rebuild doing the same."""

from __future__ import annotations

from functools import partial
from random import Random

import numpy as np

from benchmarks.kernels import NOW, _updates, books
from benchmarks.row import Row, rows, side_by_side
from pricing import fair as values
from pricing.book import Array, apply_levels
from pricing.concentration import LEVELS, Concentration, scan
from pricing.merged import refill, spoil
from pricing.signals import QUOTE, TRADE, Signals, observe, observe_all
from pricing.volatility import Volatility

EVENTS = 4_000
BATCH = 20


def _stream(seed: int = 1) -> Array:
    """Quotes and, one in four, trades of a BTC-like stream."""
    dice, ts, bid, made = Random(seed), NOW, 6_000_000, []
    for _ in range(EVENTS):
        ts += int(dice.expovariate(1 / 5e6))
        if dice.random() < 0.25:
            made.append((ts, TRADE, dice.choice((1, -1)), dice.randint(1, 1_000), 0, 0))
        else:
            bid += dice.choice((0, 0, 0, 1, -1))
            made.append((ts, QUOTE, bid, dice.randint(1, 9_000), bid + dice.choice((1, 1, 2)), dice.randint(1, 9_000)))
    return np.array(made, dtype=np.int64)


def _plain(events: list[list[int]]) -> None:
    """The same five signals, one event at a time, as somebody would write them in Python."""
    from math import exp

    ofi = flow = volume = drift = squares = seconds = 0.0
    last = bid = bid_size = ask = ask_size = 0
    micro = 0.0
    for ts, kind, a, b, c, d in events:
        elapsed = (ts - last) * 1e-9 if last else 0.0
        fade, last = exp(-0.1 * elapsed), ts
        ofi, flow, volume, drift, squares = ofi * fade, flow * fade, volume * fade, drift * fade, squares * fade
        seconds = seconds * fade + elapsed
        if kind == TRADE:
            flow, volume = flow + a * b, volume + b
            continue
        now = a + (c - a) * b / (b + d)
        if bid:
            ofi += b * (a >= bid) - bid_size * (a <= bid) - d * (c <= ask) + ask_size * (c >= ask)
            mid = (bid + ask) / 2
            drift += (now - micro) / mid
            squares += (((a + c) / 2 - mid) / mid) ** 2
        bid, bid_size, ask, ask_size, micro = a, b, c, d, now


def signals() -> list[Row]:
    """Five streaming signals, in a batch and one event at a time from Python."""
    stream = _stream()
    ours, state = partial(observe_all, Signals().state, stream), Signals().state
    plain = stream.tolist()
    mine, theirs = side_by_side([ours], {"plain Python": [partial(_plain, plain)]}, 200)
    theirs = {name: [at // EVENTS for at in times] for name, times in theirs.items()}
    question = f"order flow, queue, trade flow, drift and volatility of one event, {EVENTS} in a batch"
    report = rows("signals.batch", question, [at // EVENTS for at in mine], theirs, "a good figure is 20 ns")
    one = [partial(observe, state, *row) for row in plain]
    mine, _ = side_by_side(one, {}, 3)
    report += rows("signals.event", "the same for one event called from Python", mine, {})
    mids, volatility = [60_000.0 + (i * 7 % 13) * 0.1 for i in range(2_000)], Volatility()
    ticks = [partial(volatility.update, NOW + i * NOW // 10, mid) for i, mid in enumerate(mids)]
    mine, _ = side_by_side(ticks, {}, 1)
    return report + rows("volatility.update", "two-scale, bipower and short volatility, one tick from Python", mine, {})


def market() -> list[Row]:
    """Book and merged view updated in place, the top of book, fair value and concentration."""
    report: list[Row] = []
    for venues, depth in ((5, 50), (20, 400)):
        label = f"{venues}x{depth}"
        book = books(venues, depth)
        batches = _batches(book.arena, depth)

        def in_place(batch: Array, arena: Array = book.arena) -> None:
            apply_levels(arena, 0, batch, 0)
            refill(arena, 0)
            refill(arena, 1)

        def anew(batch: Array, arena: Array = book.arena.copy()) -> None:
            spoil(arena)
            apply_levels(arena, 0, batch, 0)
            refill(arena, 0)
            refill(arena, 1)

        book.ladder(1, NOW)
        alone = [partial(apply_levels, _unread(book.arena), 0, batch, 0) for batch in batches]
        mine, _ = side_by_side(alone, {}, 10)
        report += rows(f"book.level {label}", f"one level of a batch of {BATCH}, view not read", mine, {}, per=BATCH)
        whole = np.concatenate(batches)
        mine, _ = side_by_side([partial(apply_levels, _unread(book.arena), 0, whole, 0)], {}, 100)
        question = f"the same of a batch of {len(whole)}: what the kernel itself takes"
        report += rows(f"book.level.kernel {label}", question, mine, {}, "a good figure is 40 ns", per=len(whole))
        ours = [partial(in_place, batch) for batch in batches]
        peers = {"merged anew from the books": [partial(anew, batch) for batch in batches]}
        mine, theirs = side_by_side(ours, peers, 10)
        question = f"a message of {BATCH} levels, and the best 128 merged rows of both sides after it"
        report += rows(f"view.update {label}", question, mine, theirs)
        show = [partial(book.ladder, 12, NOW)]
        sort = [lambda book=book: (book._merged(book.live_mask(NOW), 0, 12), book._merged(book.live_mask(NOW), 1, 12))]
        mine, theirs = side_by_side(show, {"levels sorted, no decimals made": sort}, 300)
        report += rows(f"view.ladder {label}", "twelve merged rows a side as decimals, for a screen", mine, theirs)
        out = values.new_out(venues)
        mine, _ = side_by_side([partial(values.fair_kernel, book.arena, NOW, out)], {}, 2_000)
        report += rows(f"fair {label}", "fair value with outliers left out, kernel from Python", mine, {})
        bid, ask = book.side_levels("V0", 0, 1)[0], book.side_levels("V0", 1, 1)[0]
        top = partial(book.mark_top, "V0", bid[0], bid[1], ask[0], ask[1], NOW)
        mine, _ = side_by_side([top], {}, 2_000)
        report += rows(f"book.top {label}", "a newer best bid and ask, from Python", mine, {}, "a good figure is 1 µs")
    book = books(1, LEVELS)
    seen = Concentration(book.arena, book.venues)
    mine, theirs = side_by_side(
        [partial(scan, book.arena, 0, 1.0, seen.state)], {"numpy": [partial(_by_numpy, book.arena)]}, 2_000
    )
    question = f"HHI, largest levels, walls and flicker of one of two sides of {LEVELS} levels, called from Python"
    theirs = {name: [at // 2 for at in times] for name, times in theirs.items()}
    report += rows(
        "concentration.side", question, [at // 2 for at in mine], theirs, "numpy: HHI, top five, median band only"
    )
    return report


def _by_numpy(arena: Array) -> None:
    for side in (0, 1):
        depth = 512
        first = 8 + 16 + side * 2 * depth
        keys, sizes = arena[first : first + LEVELS], arena[first + depth : first + depth + LEVELS].astype(np.float64)
        total = sizes.sum()
        (sizes * sizes).sum() / total**2
        np.partition(sizes, -5)[-5:].sum()
        bands = np.bincount(((keys[-1] - keys) * 16 // (keys[-1] - keys[0] + 1)), weights=sizes, minlength=16)
        np.median(bands[bands > 0])


def _unread(arena: Array) -> Array:
    """A copy whose merged view nobody reads."""
    copy = arena.copy()
    spoil(copy)
    return copy


def _batches(arena: Array, depth: int) -> list[Array]:
    """Absolute changes near the top of the first venue: sizes, deletions, insertions."""
    changes = _updates(books(1, depth), depth, EVENTS)
    return [np.ascontiguousarray(changes[i : i + BATCH]) for i in range(0, EVENTS, BATCH)]
