"""Ids of requests: given back, made if need be, and told in each line of the log."""

import asyncio
import json
import logging
from itertools import islice

import pytest

from colibris.edge import requestids
from colibris.logs import JSONFormatter

ON = 'REQUEST_IDS = True'


async def test_by_itself_there_is_none(serve):
    assert 'X-Request-ID' not in (await (await serve()).get('/who', headers={'X-Request-ID': 'abc'})).headers


@pytest.mark.parametrize('path', ['/who', '/fail', '/nothing', '/streamed'])
async def test_what_a_client_gives_is_given_back_with_every_answer(serve, path):
    resp = await (await serve(ON)).get(path, headers={'X-Request-ID': 'Root=1-67a@b/c:d'})
    assert resp.headers.getall('X-Request-ID') == ['Root=1-67a@b/c:d']


async def test_without_one_each_request_gets_its_own(serve):
    client = await serve(ON)
    made = {(await client.get('/who')).headers['X-Request-ID'] for _ in range(10)}
    assert [len(each) for each in made] == [32] * 10


def test_very_many_are_all_different():
    made = [*islice(requestids._ids(), 10_000), *islice(requestids._ids(), 10_000)]
    assert len(set(made)) == 20_000
    assert {len(each) for each in made} == {32}


@pytest.mark.parametrize('given', ['', 'a b', 'x' * 129, 'a"b', '<script>', 'ä'])
async def test_what_does_not_belong_into_logs_is_not_taken(serve, given):
    resp = await (await serve(ON)).get('/who', headers={'X-Request-ID': given})
    assert resp.headers['X-Request-ID'] != given


async def test_lines_of_the_log_tell_their_own_request(serve, caplog):
    client = await serve(ON)
    caplog.handler.setFormatter(JSONFormatter())
    with caplog.at_level(logging.ERROR, 'colibris'):
        await asyncio.gather(*(client.get('/fail', headers={'X-Request-ID': f'id-{n}'}) for n in range(20)))
    told = [json.loads(line) for line in caplog.text.splitlines()]
    assert sorted(line['request_id'] for line in told) == sorted(f'id-{n}' for n in range(20))
    assert {(line['method'], line['route']) for line in told} == {('GET', '/fail')}
