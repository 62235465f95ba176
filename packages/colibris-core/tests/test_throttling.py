"""How often a view may be used: the sliding window, who is counted, and what clients are told."""

import asyncio
from types import SimpleNamespace

import pytest

from colibris import api, security, throttling
from colibris.app import create_app
from colibris.conf import ImproperlyConfigured
from colibris.throttling import MemoryCounts, Rate, SharedCounts, Window, address_key


@pytest.fixture(autouse=True)
def nothing_is_counted_yet():
    throttling.forget()
    yield
    throttling.forget()


@pytest.fixture
def clock(monkeypatch):
    """Let time pass as a test says: ``clock.now += 5``."""
    clock = SimpleNamespace(now=1_800_000_000.0)
    monkeypatch.setattr(throttling.time, 'time', lambda: clock.now)
    return clock


VIEWS = """
    from aiohttp import web
    from colibris import api
    from colibris.schemas import Schema, fields
    from colibris.views import APIView

    class QuerySchema(Schema):
        size = fields.Integer(required=True)

    class LimitedView(APIView):
        throttle = '3/minute'

        async def get(self):
            return {}

        async def post(self):
            return {}

    class CheckedView(APIView):
        throttle = ('2/second', '3/minute')
        query_schema_class = QuerySchema

        async def get(self):
            return {}

    class FreeView(APIView):
        throttle = None

        async def get(self):
            return {}

    class PlainView(web.View):
        throttle = '1/hour'

        async def get(self):
            return web.Response()

    async def first(request):
        return {}

    async def second(request):
        return {}

    async def own(request):
        return {}
    own.throttle = '1/minute'

    async def addressed(request):
        return {}
    addressed.throttle = '1/minute'
    addressed.throttle_by = 'address'

    ROUTES = [('/limited', LimitedView), ('/checked', CheckedView), ('/free', FreeView), ('/plain', PlainView),
              ('/first', first), ('/second', second), ('/own', own), ('/addressed', addressed)]
"""


@pytest.fixture
def serve(project, aiohttp_client):
    async def make(settings: str = ''):
        project(settings=settings, routes=VIEWS)
        return await aiohttp_client(create_app())

    return make


async def statuses(client, path, count, **options):
    return [(await client.get(path, **options)).status for _ in range(count)]


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('100/minute', Rate(100, 60)),
        ('5/s', Rate(5, 1)),
        ('10 / second', Rate(10, 1)),
        ('20/30s', Rate(20, 30)),
        ('7/2 hours', Rate(7, 7200)),
        ('1000/Day', Rate(1000, 86_400)),
    ],
)
def test_rates_are_written_in_words(text, expected):
    assert Rate.parse(text) == expected


@pytest.mark.parametrize('text', ['', '100', '0/minute', '-1/s', '1.5/s', '5/fortnight', '5/', '/s', 5, None, '5/0s'])
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(ValueError, match='is no rate'):
        Rate.parse(text)


async def test_a_view_may_be_used_so_often_and_then_again(serve, clock):
    client = await serve()
    assert await statuses(client, '/limited', 4) == [200, 200, 200, 429]
    refused = await client.get('/limited')
    wait = int(refused.headers['Retry-After'])
    # In 80 seconds, a third of the next window will have passed: then 3 * 2/3 of this one count.
    assert ((await refused.json())['code'], wait) == ('too_many_requests', 80)
    clock.now += wait - 1.5
    assert await statuses(client, '/limited', 1) == [429]
    clock.now += 1.5
    assert await statuses(client, '/limited', 2) == [200, 429]


async def test_the_window_slides(serve, clock):
    clock.now -= clock.now % 60
    client = await serve()
    clock.now += 50
    assert await statuses(client, '/limited', 3) == [200, 200, 200]
    clock.now += 15  # another minute of the clock; 55 of the last 60 seconds lie in the one before
    assert await statuses(client, '/limited', 1) == [429]
    clock.now += 20
    assert await statuses(client, '/limited', 2) == [200, 429]


async def test_answers_tell_what_is_left(serve, clock):
    client = await serve()
    clock.now -= clock.now % 60
    told = [(await client.get('/limited')).headers['RateLimit'] for _ in range(4)]
    assert told == [f'"3-in-60s";r={left};t=60' for left in (2, 1, 0, 0)]
    assert (await client.get('/limited')).headers['RateLimit-Policy'] == '"3-in-60s";q=3;w=60'


async def test_several_rates_hold_at_once(serve, clock):
    client = await serve()
    path = '/checked?size=1'
    assert await statuses(client, path, 3) == [200, 200, 429]
    clock.now += 2
    assert await statuses(client, path, 2) == [200, 429]
    assert (await client.get(path)).headers['RateLimit'].startswith('"3-in-60s";r=0')


async def test_what_one_rate_refuses_does_not_count_for_the_others(serve, clock):
    client = await serve()
    path = '/checked?size=1'
    await statuses(client, path, 2)
    clock.now += 10
    assert await statuses(client, path, 1) == [200]
    clock.now += 10
    assert await statuses(client, path, 5) == [429] * 5
    memory = throttling._memory._counts
    assert [counts[2] for key, counts in memory.items() if '.2-1.' in key] == [0]


async def test_all_methods_of_a_view_are_counted_together_and_its_neighbours_are_not(serve):
    client = await serve()
    assert [(await client.post('/limited')).status for _ in range(3)] == [200] * 3
    assert await statuses(client, '/limited', 1) == [429]
    assert await statuses(client, '/checked?size=1', 1) == [200]


async def test_what_is_not_valid_counts(serve):
    assert await statuses(await serve(), '/checked', 3) == [400, 400, 429]


async def test_plain_functions_and_views_of_aiohttp_are_limited_too(serve):
    client = await serve()
    assert await statuses(client, '/own', 2) == [200, 429]
    assert await statuses(client, '/plain', 2) == [200, 429]


async def test_the_setting_limits_all_views_together_that_do_not_say_otherwise(serve):
    client = await serve("THROTTLE = '2/minute'")
    assert [*await statuses(client, '/first', 1), *await statuses(client, '/second', 2)] == [200, 200, 429]
    for path in ('/free', '/health', '/health/live', '/health/ready'):
        assert await statuses(client, path, 4) == [200] * 4
    assert await statuses(client, '/limited', 4) == [200, 200, 200, 429]


async def test_addresses_are_counted_each_for_itself(serve):
    client = await serve("TRUSTED_PROXIES = ['127.0.0.1']")
    for address in ('203.0.113.1', '203.0.113.2'):
        assert await statuses(client, '/own', 2, headers={'X-Forwarded-For': address}) == [200, 429]


async def test_who_tries_credentials_counts_by_address(serve, monkeypatch):
    class Guard:
        async def admit(self, request, endpoint):
            if 'Authorization' not in request.headers:
                raise api.Unauthenticated
            return {'sub': 'ann'}

    client = await serve()
    monkeypatch.setattr(security, 'current_guard', Guard)
    assert await statuses(client, '/limited', 5) == [401, 401, 401, 429, 429]
    assert await statuses(client, '/limited', 1, headers={'Authorization': 'x'}) == [200]
    assert await statuses(client, '/addressed', 2) == [401, 429]
    assert await statuses(client, '/addressed', 1, headers={'Authorization': 'x'}) == [
        429
    ]  # not even with the right one


async def test_who_hammers_does_not_keep_the_window_full(serve, clock):
    client = await serve()
    await statuses(client, '/limited', 30)
    clock.now += 120
    assert await statuses(client, '/limited', 1) == [200]


async def test_a_middleware_list_that_would_not_limit_is_an_error(serve):
    with pytest.raises(ImproperlyConfigured, match='is not used too often, but MIDDLEWARE does not list'):
        await serve("MIDDLEWARE = ['colibris.middleware.handle_errors_json']")


@pytest.mark.parametrize(
    ('setting', 'routes', 'message'),
    [
        ("THROTTLE = 'often'", VIEWS, r"THROTTLE \(settings\.py\): 'often' is no rate"),
        ('', VIEWS.replace('3/minute', 'often'), r"LimitedView: throttle: 'often' is no rate"),
        ('', VIEWS.replace("throttle = '3/minute'", "throttle = '3/m'; throttle_by = 'ip'"), "not 'ip'"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_the_start(project, setting, routes, message):
    project(settings=setting, routes=routes)
    with pytest.raises(ImproperlyConfigured, match=message):
        create_app()


@pytest.mark.parametrize(
    ('remote', 'expected'),
    [
        ('203.0.113.9', 'address.203.0.113.9'),
        ('::ffff:203.0.113.9', 'address.203.0.113.9'),
        ('2001:db8:1:2:3::4', 'address.2001:db8:1:2::/64'),
        (None, 'address.None'),
    ],
)
def test_an_address_of_ipv6_counts_with_its_network(remote, expected):
    assert address_key(remote) == expected


async def test_counts_in_memory_are_bounded():
    counts = MemoryCounts(limit=10)
    window = Window.at(Rate(5, 60), 0)
    for number in range(100):
        await counts.take(str(number), window)
    assert len(counts) == 10


class FakeCache:
    """A cache that keeps integers and lets others run between its calls."""

    def __init__(self):
        self.values = {}

    async def get_many(self, keys):
        await asyncio.sleep(0)
        return {key: self.values[key] for key in keys if key in self.values}

    async def incr(self, key, delta, lifetime):
        await asyncio.sleep(0)
        self.values[key] = self.values.get(key, 0) + delta
        return self.values[key]

    async def decr(self, key, delta, lifetime):
        return await self.incr(key, -delta, lifetime)


async def test_requests_at_the_same_time_do_not_slip_through():
    counts = SharedCounts(FakeCache())
    window = Window.at(Rate(10, 60), 30)
    taken = await asyncio.gather(*(counts.take('key', window) for _ in range(50)))
    assert sum(each[0] for each in taken) == 10
    assert max(counts._cache.values.values()) == 10


async def test_a_cache_that_does_not_answer_holds_up_one_request_only(serve, monkeypatch):
    class Hanging:
        asked = 0

        async def get_many(self, keys):
            Hanging.asked += 1
            await asyncio.sleep(60)

    client = await serve()
    cache = SimpleNamespace(name='cache', backend=Hanging())
    monkeypatch.setattr(throttling.subsystems, 'opened', lambda: (cache,))
    monkeypatch.setattr(throttling, 'CACHE_LIMIT', 0.1)
    assert await statuses(client, '/own', 3) == [200, 429, 429]
    assert Hanging.asked == 1
