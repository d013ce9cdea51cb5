"""What a late accept of a streamed quote is told."""

from __future__ import annotations

import msgspec

from desk.rfq.records import QuoteRecord
from desk.rfq.streamed import StreamedFates
from tests.oracles import ledger_records as make


def _streamed(number: int) -> QuoteRecord:
    return msgspec.structs.replace(make.quote(number), streamed=True)


def test_a_quote_that_ran_out_or_was_withdrawn_is_told_apart_and_only_to_its_client() -> None:
    fates = StreamedFates()
    late, withdrawn, asked = _streamed(1), _streamed(2), make.quote(3)
    fates.remember([late, asked])
    fates.remember([withdrawn], withdrawn=True)
    told = fates.why(late.quote_id, late.client_id, late.valid_until_ns + 5)
    assert told is not None and (told.code, told.status) == ("quote_expired", 409)
    assert told.details == {"valid_until_ns": late.valid_until_ns, "now_ns": late.valid_until_ns + 5}
    told = fates.why(withdrawn.quote_id, withdrawn.client_id, 0)
    assert told is not None and (told.code, told.status) == ("quote_withdrawn", 409)
    assert fates.why(late.quote_id, "somebody else", 0) is None
    assert fates.why(asked.quote_id, asked.client_id, 0) is None, "the ledger knows those"


def test_the_oldest_fates_are_forgotten_first() -> None:
    fates = StreamedFates(most=3)
    quotes = [_streamed(number) for number in range(5)]
    fates.remember(quotes)
    known = [fates.why(quote.quote_id, quote.client_id, 0) is not None for quote in quotes]
    assert known == [False, False, True, True, True]
