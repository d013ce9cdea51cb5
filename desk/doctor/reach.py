"""What lies outside: exchanges and their clocks, LPs, credentials, the archive. Public questions only; nothing is signed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from desk.config.model import DeskConfig, LpSection, VenueSection
from desk.config.secrets import credentials
from desk.doctor.finding import Finding, Grade, good, graded

REACH_S = 5.0
CLOCK_ASKS = 3  # the quickest answer says most
SKEW_WARN_MS, SKEW_FAIL_MS = 500.0, 4_000.0  # venues refuse signatures that are 5 s off
SLOW_WARN_MS = 1_000.0


async def outside(config: DeskConfig, environ: Mapping[str, str]) -> list[Finding]:
    """Everything beyond this machine, asked at once."""
    asks = [_exchange(config, venue) for venue in config.venues if venue.enabled]
    asks += [_lp(lp) for lp in config.lps if lp.enabled]
    found = [finding for findings in await asyncio.gather(*asks) for finding in findings]
    return [*found, *keys_at_hand(config, environ)]


def keys_at_hand(config: DeskConfig, environ: Mapping[str, str]) -> list[Finding]:
    """Whether the environment has what the enabled venues and LPs want. On paper exchanges want nothing."""
    exchanges = [venue.venue for venue in config.venues if venue.enabled and config.mode == "live"]
    found = []
    for name in [*exchanges, *(lp.lp for lp in config.lps if lp.enabled)]:
        missing = credentials(name, environ) is None
        found.append(
            graded(
                f"{name} keys",
                "not in the environment" if missing else "in the environment",
                f"Set {name}_API_KEY and {name}_API_SECRET (and {name}_PASSPHRASE where there is one), or enabled = false.",
                warn=False,
                fail=missing,
            )
        )
    return found


async def _exchange(config: DeskConfig, venue: VenueSection) -> list[Finding]:
    """Reach and clock of an exchange, by its own time call; of one that has none, reach by its list of instruments."""
    from adapters.ccxt.config import ExchangeConfig
    from adapters.ccxt.venues.registry import market_dialect

    check = f"{venue.venue} reach"
    exchange = market_dialect(venue.exchange).create(
        ExchangeConfig(
            venue=venue.venue,
            exchange=venue.exchange,
            symbols=config.venue_symbols(venue),
            rest_url=venue.rest_url or None,
            ws_url=venue.ws_url or None,
        )
    )
    try:
        quickest_ms, skew_ms = float("inf"), 0.0
        async with asyncio.timeout(REACH_S):
            tells_time = bool(exchange.has.get("fetchTime"))
            for _ in range(CLOCK_ASKS if tells_time else 1):
                began_ns, began = time.time_ns(), time.perf_counter()
                said_ms = await exchange.fetch_time() if tells_time else await exchange.load_markets()
                took_ms = (time.perf_counter() - began) * 1e3
                tells_time = tells_time and isinstance(said_ms, int | float)
                if took_ms < quickest_ms:
                    quickest_ms = took_ms
                    skew_ms = _skew_ms(said_ms, began_ns / 1e6, took_ms) if tells_time else 0.0
    except Exception as fault:  # ccxt's own tree, and whatever lies below it: all mean "not reached"
        return [_unreached(check, fault)]
    finally:
        await exchange.close()
    reach = graded(
        check,
        f"answers in {quickest_ms:.0f} ms",
        "Prices will be old when they come: run the desk nearer to the venue.",
        warn=tells_time and quickest_ms > SLOW_WARN_MS,
    )
    if not tells_time:
        return [reach]
    return [
        reach,
        graded(
            f"{venue.venue} clock",
            f"ours is {skew_ms:+.0f} ms off" if skew_ms else "agrees with ours",
            "Let chrony or systemd-timesyncd keep this machine's clock: venues refuse requests whose time is off.",
            warn=abs(skew_ms) > SKEW_WARN_MS,
            fail=abs(skew_ms) > SKEW_FAIL_MS,
        ),
    ]


def _skew_ms(said_ms: float, began_ms: float, took_ms: float) -> float:
    """How far our clock is ahead, at least: 0 when what the venue said lies between asking and answer (whole seconds count as a span)."""
    resolution = 1_000.0 if said_ms % 1_000 == 0 else 1.0
    if said_ms > began_ms + took_ms:
        return began_ms + took_ms - said_ms
    return max(0.0, began_ms - (said_ms + resolution))


async def _lp(lp: LpSection) -> list[Finding]:
    """Whether the LP's hosts take connections: it answers nobody who does not sign."""
    found = []
    for what, url in (("REST", lp.rest_url), ("stream", lp.ws_url)):
        check, parts = f"{lp.lp} {what} reach", urlsplit(url)
        secure = parts.scheme in ("https", "wss")
        began = time.perf_counter()
        try:
            async with asyncio.timeout(REACH_S):
                _, writer = await asyncio.open_connection(
                    parts.hostname or "", parts.port or (443 if secure else 80), ssl=secure or None
                )
        except (OSError, TimeoutError) as fault:
            found.append(_unreached(check, fault))
            continue
        writer.close()
        found.append(good(check, f"connects in {(time.perf_counter() - began) * 1e3:.0f} ms"))
    return found


def archive(config: DeskConfig, state: Path) -> Finding:
    """Whether the archive's database answers, or is in the hands of a running desk."""
    from adapters.clickhouse import client

    check = "archive"
    if config.archive is None:
        return graded(check, "none configured", "Nothing is kept for analysis: add [archive] with a dsn.", warn=True)
    dsn = config.archive.dsn
    try:
        path = client.embedded_path(dsn)
        if path is not None and not path.exists():
            return good(check, f"{client.masked(dsn)} will be made by the first desk")
        opened = client.open_client(dsn)
    except client.ArchiveHeld:
        return good(check, f"{client.masked(dsn)} is open in a running desk")
    except client.ArchiveError as fault:
        return _archive_fault(check, str(fault))
    try:
        client.run_query(opened, "SELECT 1", "TSV")
    except client.ArchiveError as fault:
        return _archive_fault(check, str(fault))
    finally:
        opened.close()
    return good(check, f"{client.masked(dsn)} answers")


def _archive_fault(check: str, reason: str) -> Finding:
    advice = "The desk runs without it and spools to disk: check archive.dsn, the server, and its user's rights."
    return Finding(check=check, grade=Grade.WARN, value=reason, advice=advice)


def _unreached(check: str, fault: BaseException) -> Finding:
    reason = " ".join(f"{type(fault).__name__} {fault}".split())[:160]
    return Finding(
        check=check,
        grade=Grade.FAIL,
        value=f"not reached: {reason}",
        advice="Check network, proxy and firewall of this machine, and rest_url and ws_url in the configuration.",
    )
