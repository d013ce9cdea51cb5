"""Exact numbers, client order ids that come back, hosts, and the configuration's own rules."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.limits.bucket import RateLimited, TokenBucket
from adapters.ccxt.symbols import (
    ClientIdError,
    binance_client_id,
    decimals_of,
    exact,
    kraken_client_id,
    kraken_original_id,
    okx_client_id,
    okx_original_id,
    rewrite_hosts,
)
from adapters.ccxt.venues.registry import VENUES as RULES
from router.ids import OrderIds, base36


@pytest.mark.parametrize(
    ("value", "decimals", "units"),
    [
        ("60000.01000000", 2, 6000001),
        ("0.00001000", 5, 1),
        (105944.2, 1, 1059442),
        (1e-08, 8, 1),
        (0.1, 8, 10_000_000),
        (5, 3, 5000),
        ("7", 0, 7),
        ("1E+2", 0, 100),
    ],
)
def test_exact(value, decimals, units):
    assert exact(value, decimals) == units


@pytest.mark.parametrize(
    "value", ["60000.015", "", ".", "abc", "NaN", "Infinity", float("nan"), float("inf"), "1_0", "١"]
)
def test_numbers_that_are_none_or_do_not_fit_are_refused(value):
    with pytest.raises(ValueError):
        exact(value, 2)


@given(st.integers(min_value=0, max_value=10**14), st.integers(min_value=0, max_value=8))
def test_exact_reads_back_what_a_venue_prints(units, decimals):
    assert exact(f"{Decimal(units).scaleb(-decimals):f}", decimals) == units


@given(st.integers(min_value=0, max_value=10**15 - 1))
def test_floats_of_fifteen_digits_are_exact(units):
    assert exact(float(Decimal(units).scaleb(-8)), 8) == units


def test_decimals_of():
    assert [decimals_of(Decimal(step)) for step in ("0.01000000", "1", "10", "1e-8")] == [2, 0, 0, 8]


ids = st.one_of(
    st.text("0123456789abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=24),
    st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_", min_size=1, max_size=24),
    st.from_regex(r"\AO-202[0-9]1[0-2]1[0-9]-[01][0-9][0-5][0-9][0-5][0-9]-00[1-9]-00[0-9]-[1-9][0-9]?\Z"),
)


@given(ids)
def test_kraken_ids_fit_its_rules_and_come_back(client_order_id):
    sent = kraken_client_id(client_order_id)
    assert len(sent) <= 18 or (len(sent) == 32 and set(sent) <= set("0123456789abcdef"))
    assert kraken_original_id(sent) == client_order_id


foreign_ids = st.one_of(
    st.text(max_size=36),
    st.text("0123456789abcdef", min_size=32, max_size=32),
    st.text("0123456789abcdefzXY~- !", max_size=18).map(lambda rest: "~" + rest),
)


@given(foreign_ids)
@example("~")
@example("~zzzzzzzzzz")
@example("~not a number")
def test_kraken_ids_of_others_are_left_alone_or_are_what_we_would_have_sent(sent):
    original = kraken_original_id(sent)
    assert original == sent or kraken_client_id(original) == sent


@given(st.integers(0, 36**9 - 1), st.integers(1, 36**6 - 1))
def test_every_id_that_the_router_makes_is_taken_by_every_venue_and_comes_back(epoch_ms, number):
    ids = OrderIds(base36(epoch_ms))
    ids._orders = number - 1
    made = ids.order()
    for dialect in (rules.account() for rules in RULES.values()):
        assert dialect.decode_id(dialect.encode_id(made)) == made


@given(st.sampled_from(sorted(RULES)), st.text(max_size=40))
def test_an_id_is_carried_and_comes_back_or_is_refused(exchange, client_order_id):
    dialect = RULES[exchange].account()
    try:
        sent = dialect.encode_id(client_order_id)
    except ClientIdError:
        return
    assert sent.isascii() and sent.isprintable()
    assert dialect.decode_id(sent) == client_order_id


@pytest.mark.parametrize("bad", ["", "x" * 25, "mixed-Case-and-more-than-18", "~short", "naïve", "a" * 20 + "\n"])
def test_kraken_refuses_what_it_could_not_give_back(bad):
    with pytest.raises(ClientIdError):
        kraken_client_id(bad)


def test_binance_takes_36_characters():
    assert binance_client_id("c-mi8k2x1a-1f") == "c-mi8k2x1a-1f"
    for bad in ("", "x" * 37, "with space"):
        with pytest.raises(ClientIdError):
            binance_client_id(bad)


okx_ids = st.one_of(
    st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.:/_-", min_size=1, max_size=30),
    st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", min_size=1, max_size=32).filter(
        lambda text: not text.startswith("X")
    ),
    ids,
)


@given(okx_ids)
def test_okx_ids_fit_its_rules_and_come_back(client_order_id):
    sent = okx_client_id(client_order_id)
    assert 1 <= len(sent) <= 32 and sent.isascii() and sent.isalnum()
    assert okx_original_id(sent) == client_order_id


@given(st.text(st.characters(codec="ascii"), max_size=33))
def test_okx_ids_of_others_are_left_alone_or_are_what_we_would_have_sent(sent):
    original = okx_original_id(sent)
    assert original == sent or okx_client_id(original) == sent


@given(st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", min_size=1, max_size=31))
def test_okx_ids_with_our_mark_but_not_ours_are_left_alone(rest):
    original = okx_original_id("X" + rest)
    assert original == "X" + rest or okx_client_id(original) == "X" + rest


@pytest.mark.parametrize("bad", ["", "x" * 33, "-" * 31, "with space", "naïve", "line\n", "X" * 31])
def test_okx_refuses_what_it_could_not_give_back(bad):
    with pytest.raises(ClientIdError):
        okx_client_id(bad)


def test_hosts_are_rewritten_and_paths_kept():
    api = {"public": "https://api.kraken.com", "ws": {"publicV2": "wss://ws.kraken.com/v2"}}
    here = rewrite_hosts(api, "http://127.0.0.1:1", "ws://127.0.0.1:2")
    assert here == {"public": "http://127.0.0.1:1", "ws": {"publicV2": "ws://127.0.0.1:2/v2"}}
    assert rewrite_hosts(api, None, None) == api


def config(**changes) -> ExchangeConfig:
    return ExchangeConfig(**{"venue": "BINANCE", "exchange": "binance", "symbols": ("BTC/USDT",), **changes})


@pytest.mark.parametrize(
    "change", [{"exchange": "bitmex"}, {"depth": 77}, {"venue": "binance"}, {"symbols": ()}, {"max_age_ms": 0}]
)
def test_configuration_that_cannot_work_is_refused(change):
    with pytest.raises(ValueError):
        config(**change)


def test_unknown_settings_are_refused():
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"venue": "X", "exchange": "kraken", "symbols": ["A/B"], "colour": "red"}, ExchangeConfig)


def test_secrets_are_not_in_the_repr():
    assert "hunter2" not in repr(config(secret="hunter2", api_key="hunter2"))


def test_bucket_bursts_then_spaces_then_refuses():
    now = 0.0
    bucket = TokenBucket(10.0, clock=lambda: now)
    waits = [bucket.reserve(1.0) for _ in range(12)]
    assert waits[:10] == pytest.approx([0.0] * 10)
    assert waits[10:] == pytest.approx([0.1, 0.2])
    with pytest.raises(RateLimited):
        bucket.reserve(0.25)
    assert bucket.reserve(1.0) == pytest.approx(0.3)  # the refused one took no token


def test_a_number_that_was_read_before_does_not_make_a_number_of_what_is_none() -> None:
    assert exact(1, 2) == 100
    with pytest.raises(ValueError, match="True' is not a number"):
        exact(True, 2)
