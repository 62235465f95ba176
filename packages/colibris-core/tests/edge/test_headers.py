"""Security headers: on every answer, but for those that have their own."""

import pytest

from colibris.app import create_app
from colibris.conf import ImproperlyConfigured


@pytest.mark.parametrize('path', ['/who', '/fail', '/taken', '/nothing', '/streamed', '/health', '/api/docs'])
async def test_every_answer_has_them(serve, path):
    resp = await (await serve()).get(path)
    assert resp.headers.getall('X-Content-Type-Options') == ['nosniff']
    assert len(resp.headers.getall('X-Frame-Options')) == len(resp.headers.getall('Referrer-Policy')) == 1
    assert 'Strict-Transport-Security' not in resp.headers


async def test_an_answer_keeps_its_own(serve):
    resp = await (await serve()).get('/own')
    assert resp.headers.getall('X-Frame-Options') == ['SAMEORIGIN']


async def test_single_ones_can_be_changed_and_left_out(serve):
    client = await serve("SECURITY_HEADERS = {'x-frame-options': 'SAMEORIGIN', 'Referrer-Policy': None}")
    headers = (await client.get('/who')).headers
    assert (headers['X-Frame-Options'], 'Referrer-Policy' in headers) == ('SAMEORIGIN', False)
    assert headers['X-Content-Type-Options'] == 'nosniff'


async def test_all_can_be_switched_off(serve):
    headers = (await (await serve('SECURITY_HEADERS = False')).get('/who')).headers
    assert not {'X-Content-Type-Options', 'X-Frame-Options'} & set(headers)


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        ({'X-Frame': 'DENY'}, "has no key 'X-Frame'"),
        ({'X-Frame-Options': 'a\nb'}, 'must be text'),
        ({'X-Frame-Options': 1}, 'must be text'),
    ],
)
def test_what_cannot_be_a_header_is_refused_at_the_start(project, value, message):
    project(settings=f'SECURITY_HEADERS = {value!r}')
    with pytest.raises(ImproperlyConfigured, match=message):
        create_app()
