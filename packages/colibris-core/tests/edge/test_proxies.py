"""Who a request comes from, behind proxies that are trusted, and behind none."""

import pytest

from colibris.app import create_app
from colibris.conf import ImproperlyConfigured

TRUSTED = "TRUSTED_PROXIES = ['127.0.0.1', '10.0.0.0/8', '2001:db8:1::/48']"


async def who(client, **headers):
    resp = await client.get('/who', headers={name.replace('_', '-'): value for name, value in headers.items()})
    assert resp.status == 200
    return await resp.json()


async def test_without_trusted_proxies_nothing_is_believed(serve):
    client = await serve()
    said = await who(client, X_Forwarded_For='203.0.113.9', X_Forwarded_Proto='https', Forwarded='for=203.0.113.9')
    assert (said['remote'], said['scheme']) == ('127.0.0.1', 'http')


async def test_who_is_no_trusted_proxy_is_not_believed(serve):
    client = await serve("TRUSTED_PROXIES = ['192.0.2.1']")
    said = await who(client, X_Forwarded_For='203.0.113.9', X_Forwarded_Proto='https', X_Forwarded_Host='a.example')
    assert (said['remote'], said['scheme'], said['host'].partition(':')[0]) == ('127.0.0.1', 'http', '127.0.0.1')


@pytest.mark.parametrize(
    ('headers', 'expected'),
    [
        ({'X_Forwarded_For': '203.0.113.9'}, '203.0.113.9'),
        ({'X_Forwarded_For': '6.6.6.6, 203.0.113.9'}, '203.0.113.9'),  # the first is what the client claims
        ({'X_Forwarded_For': '6.6.6.6, 203.0.113.9, 10.1.2.3'}, '203.0.113.9'),
        ({'X_Forwarded_For': '10.1.2.3, 10.1.2.4'}, '10.1.2.3'),
        ({'X_Forwarded_For': '203.0.113.9:4711'}, '203.0.113.9'),
        ({'X_Forwarded_For': '[2001:db8:2::7]:4711'}, '2001:db8:2::7'),
        ({'X_Forwarded_For': '::ffff:203.0.113.9'}, '203.0.113.9'),
        ({'X_Forwarded_For': 'unknown'}, '127.0.0.1'),
        ({'X_Forwarded_For': '203.0.113.9, garbage'}, '127.0.0.1'),
        ({'X_Forwarded_For': ''}, '127.0.0.1'),
        ({'Forwarded': 'for=203.0.113.9;proto=https'}, '203.0.113.9'),
        ({'Forwarded': 'for=6.6.6.6, for="[2001:db8:2::7]:4711", for=10.0.0.1'}, '2001:db8:2::7'),
        ({'Forwarded': 'for=203.0.113.9', 'X_Forwarded_For': '203.0.113.9'}, '203.0.113.9'),
    ],
)
async def test_the_client_is_the_last_one_that_no_trusted_proxy_is(serve, headers, expected):
    assert (await who(await serve(TRUSTED), **headers))['remote'] == expected


async def test_many_headers_are_one_list(serve):
    client = await serve(TRUSTED)
    headers = [('X-Forwarded-For', '6.6.6.6'), ('X-Forwarded-For', '203.0.113.9'), ('X-Forwarded-For', '10.0.0.9')]
    assert (await (await client.get('/who', headers=headers)).json())['remote'] == '203.0.113.9'


@pytest.mark.parametrize(
    ('scheme', 'expected'),
    [('https', 'https'), ('HTTPS', 'https'), ('https, http', 'http'), ('javascript', 'http'), ('', 'http')],
)
async def test_the_scheme_is_what_the_trusted_proxy_saw(serve, scheme, expected):
    client = await serve(TRUSTED)
    assert (await who(client, X_Forwarded_For='6.6.6.6', X_Forwarded_Proto=scheme))['scheme'] == expected


async def test_one_scheme_stands_for_the_whole_way(serve):
    client = await serve(TRUSTED)
    said = await who(client, X_Forwarded_For='203.0.113.9, 10.0.0.2', X_Forwarded_Proto='https')
    assert said['scheme'] == 'https'


async def test_the_host_is_that_of_the_client_if_it_is_one(serve):
    client = await serve(TRUSTED)
    assert (await who(client, X_Forwarded_For='6.6.6.6', X_Forwarded_Host='a.example:8443'))['host'] == 'a.example:8443'
    assert '<' not in (await who(client, X_Forwarded_For='6.6.6.6', X_Forwarded_Host='<script>'))['host']


async def test_two_headers_that_contradict_each_other_are_refused(serve):
    client = await serve(TRUSTED)
    resp = await client.get('/who', headers={'Forwarded': 'for=1.2.3.4', 'X-Forwarded-For': '203.0.113.9'})
    assert (resp.status, (await resp.json())['code']) == (400, 'contradictory_headers')


async def test_what_only_one_of_two_headers_says_is_not_believed(serve):
    client = await serve(TRUSTED)
    same = {'Forwarded': 'for=203.0.113.9;proto=https', 'X_Forwarded_For': '203.0.113.9'}
    said = await who(client, **same, X_Forwarded_Host='evil.example', X_Forwarded_Proto='https')
    assert (said['remote'], said['scheme']) == ('203.0.113.9', 'https')
    assert said['host'].startswith('127.0.0.1')


async def test_answers_over_tls_tell_browsers_to_stay_with_it(serve):
    client = await serve(TRUSTED)
    secure = await client.get('/who', headers={'X-Forwarded-For': '6.6.6.6', 'X-Forwarded-Proto': 'https'})
    assert secure.headers['Strict-Transport-Security'] == 'max-age=31536000'
    assert 'Strict-Transport-Security' not in (await client.get('/who')).headers


def test_what_is_no_address_is_refused_at_the_start(project):
    project(settings="TRUSTED_PROXIES = ['proxy.example.com']")
    with pytest.raises(ImproperlyConfigured, match=r"TRUSTED_PROXIES \(settings\.py\): 'proxy\.example\.com'"):
        create_app()
