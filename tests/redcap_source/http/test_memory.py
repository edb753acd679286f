"""What a hostile server sends costs a bounded amount of memory."""

import gzip
import tracemalloc

import httpx
import pytest

from redcap_source import RedcapClient, Token, errors
from tests.redcap_source.test_fuzz import Pieces, asked
from tests.support.canned import SECRET


@pytest.mark.parametrize("call", ["record_ids", "export_records_to json", "data_dictionary"])
def test_a_cell_of_50_megabytes_costs_its_own_size_in_memory_at_most_a_few_times(call):
    row = b'"record_id":"1","field_name":"a","form_name":"a","field_type":"'
    piece = b"x" * (1 << 16)
    pieces = [b"[{" + row, *[piece] * 800, b'"}]']
    tracemalloc.start()
    result, _ = asked(call, pieces)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not isinstance(result, errors.RedcapError)
    assert peak < (6 * 52_000_000 if call != "export_records_to json" else 60_000_000)


def test_a_bomb_is_not_unpacked_into_memory():
    packed = gzip.compress(b"[" + b" " * 60_000_000 + b"]", 9)
    tracemalloc.start()
    transport = httpx.MockTransport(
        lambda request: httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Pieces([packed]))
    )
    client = RedcapClient("http://127.0.0.1/", Token(SECRET), transport=transport, memory_limit=10_000_000)
    with client, pytest.raises(errors.AnswerTooLong):
        client.users()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30_000_000
