"""Compression: of what is large, for whoever takes it, but never where a secret could be guessed."""

import gzip
import json

import pytest

from colibris.app import create_app
from colibris.conf import ImproperlyConfigured
from colibris.edge.compression import negotiate

ON = 'COMPRESSION = True'
GZIP = {'Accept-Encoding': 'gzip'}


@pytest.mark.parametrize('path', ['/large', '/huge', '/tagged', '/public'])
async def test_large_answers_are_compressed(serve, path):
    resp = await (await serve(ON)).get(path, headers=GZIP)
    body = await resp.read()
    assert (resp.headers['Content-Encoding'], resp.headers['Vary']) == ('gzip', 'Accept-Encoding')
    assert int(resp.headers['Content-Length']) == len(body)
    assert len(gzip.decompress(body)) > 5 * len(body)
    json.loads(gzip.decompress(body))


@pytest.mark.parametrize('path', ['/small', '/login', '/unstored', '/image', '/streamed', '/nothing', '/own'])
async def test_others_are_not(serve, path):
    resp = await (await serve(ON)).get(path, headers=GZIP)
    assert 'Content-Encoding' not in resp.headers


async def test_by_itself_nothing_is_compressed(serve):
    assert 'Content-Encoding' not in (await (await serve()).get('/large', headers=GZIP)).headers


async def test_what_a_browser_sent_cookies_for_is_compressed_only_where_the_view_says_so(serve):
    client = await serve(ON)
    headers = {**GZIP, 'Cookie': 'session=1'}
    assert 'Content-Encoding' not in (await client.get('/large', headers=headers)).headers
    assert (await client.get('/public', headers=headers)).headers['Content-Encoding'] == 'gzip'


@pytest.mark.parametrize(
    ('credentials', 'packed'), [('Basic YTpi', False), ('Digest a="b"', False), ('Bearer x', True)]
)
async def test_passwords_that_browsers_send_by_themselves_count_as_cookies_do(serve, credentials, packed):
    resp = await (await serve(ON)).get('/large', headers={**GZIP, 'Authorization': credentials})
    assert ('Content-Encoding' in resp.headers) == packed


async def test_who_takes_no_compression_gets_none_but_caches_are_told(serve):
    client = await serve(ON)
    for headers in ({'Accept-Encoding': 'identity'}, {'Accept-Encoding': 'gzip;q=0'}):
        resp = await client.get('/large', headers=headers)
        assert ('Content-Encoding' in resp.headers, resp.headers['Vary']) == (False, 'Accept-Encoding')


async def test_the_tag_of_other_bytes_is_weak(serve):
    client = await serve(ON)
    assert (await client.get('/tagged', headers=GZIP)).headers['ETag'] == 'W/"abc"'
    assert (await client.get('/tagged', headers={'Accept-Encoding': 'identity'})).headers['ETag'] == '"abc"'


async def test_head_tells_what_get_would_without_a_body(serve):
    resp = await (await serve(ON)).head('/large', headers=GZIP)
    assert ('Content-Encoding' in resp.headers, await resp.read()) == (False, b'')


@pytest.mark.parametrize(
    ('accepted', 'expected'),
    [
        ('gzip, br', 'br'),
        ('gzip', 'gzip'),
        ('br;q=0.5, gzip', 'gzip'),
        ('*', 'br'),
        ('br;q=0, *', 'gzip'),
        ('GZIP;q=1.0', 'gzip'),
        ('', None),
        ('identity', None),
        ('gzip;q=nonsense', None),
        ('*;q=0', None),
    ],
)
def test_the_client_chooses_the_coding(accepted, expected):
    assert negotiate(accepted, {'br': 1, 'gzip': 1}) == expected


@pytest.mark.parametrize('value', [{'minimum': -1}, {'level': 10}, {'level': True}, {'size': 1}])
def test_what_cannot_be_meant_is_refused_at_the_start(project, value):
    project(settings=f'COMPRESSION = {value!r}')
    with pytest.raises(ImproperlyConfigured, match='COMPRESSION'):
        create_app()
