"""/health/ready: what it asks, how often, how long, and whom it tells."""

import asyncio

import pytest

from colibris import conf, readiness, subsystems
from colibris.app import create_app
from colibris.subsystems import Backend, Subsystem


class StockSubsystem(Subsystem[Backend]):
    name, setting, group, base, package = 'stock', 'STOCK', 'stock', Backend, 'stock'

    def __init__(self):
        super().__init__()
        self.asked = 0
        self.error = None
        self.pause = 0.0

    async def check_health(self):
        self.asked += 1
        await asyncio.sleep(self.pause)
        if self.error is not None:
            raise self.error


@pytest.fixture
async def stock(project, aiohttp_client):
    """A project with one subsystem, and a client for it: ``stock.client``."""
    made = StockSubsystem()
    with subsystems.adopt([made]):
        project()
        made.app = create_app()
        made.client = await aiohttp_client(made.app)
        made.asked = 0
        yield made


async def ask(stock, **headers):
    response = await stock.client.get('/health/ready', headers=headers)
    return response.status, await response.json()


async def test_a_service_that_can_work_is_ready(stock):
    assert await ask(stock) == (200, {'state': 'ready'})


async def test_one_that_cannot_is_not(stock):
    stock.error = LookupError('sold out')
    assert await ask(stock) == (503, {'code': 'unready', 'message': 'the service is not ready', 'details': None})


async def test_however_many_ask_the_subsystems_are_asked_once_within_a_second(stock):
    stock.pause = 0.1
    answers = await asyncio.gather(*(ask(stock) for _ in range(20)))
    assert {status for status, _ in answers} == {200}
    await ask(stock)
    assert stock.asked == 1
    with conf.settings.override(HEALTH={'cache': 0.05}):
        await asyncio.sleep(0.1)
        await ask(stock)
    assert stock.asked == 2


async def test_one_client_that_goes_away_does_not_take_the_answer_from_the_others(stock):
    stock.pause = 0.2
    asked = asyncio.create_task(stock.app[readiness.READINESS].ask())
    await asyncio.sleep(0.05)
    other = asyncio.create_task(ask(stock))
    await asyncio.sleep(0.05)
    asked.cancel()
    assert (await other)[0] == 200
    assert stock.asked == 1


async def test_all_are_asked_at_once_and_none_for_longer_than_the_limit(project, aiohttp_client):
    slow = [StockSubsystem() for _ in range(3)]
    for number, one in enumerate(slow):
        one.name = f'stock {number}'
    with subsystems.adopt(slow):
        project()
        client = await aiohttp_client(create_app())
        for one in slow[:2]:
            one.pause = 0.2
        slow[2].pause = 60
        with conf.settings.override(HEALTH={'details': True, 'timeout': 0.4}):
            began = asyncio.get_running_loop().time()
            response = await client.get('/health/ready')
            took = asyncio.get_running_loop().time() - began
        checks = (await response.json())['details']['checks']
    assert response.status == 503
    assert 0.4 <= took < 0.8
    assert [checks[one.name]['state'] for one in slow] == ['healthy', 'healthy', 'unhealthy']
    assert checks['stock 2']['error'] == 'no answer within 0.4 seconds'


async def test_one_that_ignores_its_end_is_not_asked_again_and_again(stock, monkeypatch):
    ended = asyncio.Event()

    async def stubborn():
        stock.asked += 1
        while not ended.is_set():
            try:
                await ended.wait()
            except asyncio.CancelledError:
                continue

    monkeypatch.setattr(stock, 'check_health', stubborn)
    with conf.settings.override(HEALTH={'timeout': 0.05, 'cache': 0}):
        assert [(await ask(stock))[0] for _ in range(3)] == [503] * 3
        assert stock.asked == 1
        ended.set()
        await asyncio.sleep(0.05)
        assert (await ask(stock))[0] == 200


@pytest.mark.parametrize(
    ('answer', 'status'),
    [
        ('return "fine"', 200),
        ('raise app.HealthException("the moon is down")', 503),
        ('return web.Response(status=500)', 503),
    ],
)
async def test_the_project_is_asked_too(project, aiohttp_client, answer, status):
    source = f"""
        from aiohttp import web
        from colibris import app

        asked = []

        def get_health():
            if not asked:
                asked.append(True)
                return 'fine'  # at the start
            {answer}
    """
    project(app=source)
    client = await aiohttp_client(create_app())
    with conf.settings.override(HEALTH={'details': True}):
        response = await client.get('/health/ready')
        body = await response.json()
    assert response.status == status
    checks = body['checks'] if status == 200 else body['details']['checks']
    assert checks['project']['state'] == ('healthy' if status == 200 else 'unhealthy')


class TestDetails:
    @pytest.mark.parametrize(
        ('settings', 'headers', 'shown'),
        [
            ({}, {}, False),
            ({'DEBUG': True}, {}, True),
            ({'HEALTH': {'details': True}}, {}, True),
            ({'HEALTH': {'details': ['127.0.0.0/8']}}, {}, True),
            ({'HEALTH': {'details': ['10.0.0.0/8', '::1']}}, {}, False),
            ({'HEALTH': {'details': ['127.0.0.0/8']}}, {'X-Forwarded-For': '127.0.0.1'}, False),
            ({'HEALTH': {'details': ['127.0.0.0/8']}}, {'Forwarded': 'for=127.0.0.1'}, False),
            ({'HEALTH': {'token': 'open sesame'}}, {'X-Health-Token': 'open sesame'}, True),
            ({'HEALTH': {'token': 'open sesame'}}, {'X-Health-Token': 'open'}, False),
            ({'HEALTH': {'token': 'open sesame'}}, {}, False),
            ({'HEALTH': {'token': None}}, {'X-Health-Token': 'None'}, False),
        ],
    )
    async def test_who_is_shown_them(self, stock, settings, headers, shown):
        with conf.settings.override(**settings):
            status, body = await ask(stock, **headers)
        assert status == 200
        assert ('checks' in body) == shown
        if shown:
            assert body['checks']['stock']['state'] == 'healthy'
            assert body['checks']['stock']['duration'] >= 0

    async def test_errors_are_among_them_without_passwords(self, stock):
        stock.error = OSError('postgresql://shop:hush@db/shop is away')
        with conf.settings.override(HEALTH={'details': True}):
            status, body = await ask(stock)
        assert status == 503
        assert body['details']['checks']['stock']['error'] == 'postgresql://shop:********@db/shop is away'


class TestPhases:
    async def test_it_is_unready_before_the_start_is_over_and_while_it_drains(self, stock):
        part = stock.app[readiness.READINESS]
        part.phase = readiness.Phase.STARTING
        assert await ask(stock) == (503, {'code': 'unready', 'message': 'the service is starting', 'details': None})
        readiness.drain(stock.app)
        status, body = await ask(stock)
        assert (status, body['message']) == (503, 'the service is draining')
        assert stock.asked == 0

    async def test_a_new_application_is_starting(self, project):
        project()
        assert create_app()[readiness.READINESS].phase is readiness.Phase.STARTING


async def test_a_route_of_the_project_comes_first(project, aiohttp_client):
    project(routes="ROUTES = [('/health/ready', lambda request: 'mine')]")
    client = await aiohttp_client(create_app())
    assert await (await client.get('/health/ready')).json() == 'mine'
