"""Subsystems are open for the session, each test is a case of its own, and the client reaches the application."""

from __future__ import annotations

import pytest

pytest_plugins = ('pytester',)

CASES = """
    import asyncio
    import pytest
    import recorder
    from colibris import subsystems

    @pytest.fixture(scope='module')
    async def of_the_module():
        assert recorder.case.get() is None
        assert recorder.session.get() == 1
        yield 'module'

    @pytest.fixture
    async def of_the_test():
        number = recorder.case.get()
        yield number
        assert recorder.case.get() == number

    @pytest.fixture
    def sync_fixture():
        return recorder.case.get()

    async def test_first(of_the_module, of_the_test, sync_fixture):
        assert recorder.session.get() == 1
        assert recorder.case.get() == of_the_test == sync_fixture == 1
        assert await asyncio.create_task(inner()) == 1
        assert [subsystem.name for subsystem in subsystems.opened()] == ['recorder']

    async def inner():
        return recorder.case.get()

    def test_second():
        assert recorder.case.get() == 2

    async def test_third(of_the_module, of_the_test):
        assert recorder.case.get() == of_the_test == 3
"""


def test_fixtures_and_test_share_a_case_and_cases_differ(tested, monkeypatch):
    tested.use_recorder(monkeypatch)
    tested.write('shop/tests/test_cases.py', CASES)
    tested.run().assert_outcomes(passed=3)
    cases = [f'{word} {number}' for number in (1, 2, 3) for word in ('begin', 'end')]
    assert tested.notes() == ['open 1', *cases, 'close 1']


def test_a_subsystem_brings_fixtures_once_it_is_configured(tested, monkeypatch):
    tested.use_recorder(monkeypatch)
    tested.write('shop/tests/test_it.py', "def test_it(recorded): assert recorded == 'recorded'\n")
    tested.run().assert_outcomes(passed=1)
    tested.write('shop/settings.py', '')
    tested.run().assert_outcomes(errors=1)


def test_a_failing_test_ends_its_case(tested, monkeypatch):
    tested.use_recorder(monkeypatch)
    tested.write('shop/tests/test_it.py', 'async def test_a(): assert 0\nasync def test_b(): pass\n')
    tested.run().assert_outcomes(passed=1, failed=1)
    assert tested.notes() == ['open 1', 'begin 1', 'end 1', 'begin 2', 'end 2', 'close 1']


ISOLATED = """
    import pytest

    @pytest.mark.isolated_database
    async def test_isolated():
        pass

    async def test_after():
        pass

    @pytest.mark.isolated_database
    class TestGroup:
        async def test_method(self):
            pass
"""


def test_a_marked_test_is_isolated(tested, monkeypatch):
    tested.use_recorder(monkeypatch)
    tested.write('shop/tests/test_it.py', ISOLATED)
    tested.run('--strict-markers').assert_outcomes(passed=3)
    assert tested.notes() == [
        'open 1',
        *('begin 1 isolated', 'end 1 isolated'),
        *('begin 2', 'end 2'),
        *('begin 3 isolated', 'end 3 isolated'),
        'close 1',
    ]


def test_a_test_with_a_loop_of_its_own_is_refused_while_something_is_open(tested, monkeypatch):
    tested.write(
        'shop/tests/test_it.py',
        """
        import pytest

        @pytest.mark.asyncio(loop_scope='function')
        async def test_it():
            pass
        """,
    )
    tested.run().assert_outcomes(passed=1)
    tested.use_recorder(monkeypatch)
    result = tested.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*asks for an event loop of scope 'function'*remove loop_scope*"])


def test_a_subsystem_that_cannot_be_opened_is_named(tested, monkeypatch):
    tested.use_recorder(monkeypatch)
    tested.write('shop/settings.py', "RECORDER = {'backend': 'plian'}\n")
    tested.write('shop/tests/test_it.py', 'def test_it(): pass\n')
    result = tested.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(['*plian*'])
    assert 'Traceback' not in result.stdout.str()
    result.stdout.no_fnmatch_line('*fixtures.py*')


VIEWS = """
    from colibris import api
    from colibris.views import APIView
    import sys

    class Case(APIView):
        async def get(self):
            recorder = sys.modules.get('recorder')
            return {'case': recorder.case.get() if recorder else None}
"""

CLIENT = """
    import pytest
    from colibris.test import utils

    async def test_health(web_app_client):
        resp = await web_app_client.get('/health')
        assert resp.status == 200
        assert await resp.json() == 'healthy'

    async def test_view_sees_the_case(web_app_client):
        import recorder
        j = await utils.read_json(await web_app_client.get('/case'))
        assert j == {'case': recorder.case.get()}

    async def test_error_envelope(web_app_client):
        utils.assert_is_error(await utils.read_json(await web_app_client.get('/nothing'), 404), 'not_found')

    seen = []

    async def test_application_is_fresh(web_app_client, web_app):
        seen.append(web_app)
        assert web_app_client.app is web_app

    async def test_application_is_fresh_again(web_app_client, web_app):
        assert web_app is not seen[0]
"""


def test_client_reaches_views_which_see_the_case(tested, monkeypatch):
    tested.use_recorder(monkeypatch)
    tested.write('shop/views.py', VIEWS)
    tested.write('shop/routes.py', "from shop import views\n\nROUTES = [('/case', views.Case)]\n")
    tested.write('shop/tests/test_client.py', CLIENT)
    tested.run().assert_outcomes(passed=5)


def test_the_application_can_be_changed_by_a_fixture(tested):
    tested.write(
        'shop/tests/fixtures.py',
        """
        import pytest
        from aiohttp import web

        async def hello(request):
            return web.Response(text='hello')

        @pytest.fixture
        def web_app(web_app):
            web_app.router.add_get('/hello', hello)
            return web_app
        """,
    )
    tested.write(
        'shop/tests/test_it.py',
        """
        async def test_it(web_app_client):
            assert await (await web_app_client.get('/hello')).text() == 'hello'
        """,
    )
    tested.run().assert_outcomes(passed=1)


OVERRIDE = """
    import pytest
    from colibris.conf import settings
    from colibris.test.utils import override_settings

    @override_settings(PORT=1)
    async def test_async():
        assert settings.PORT == 1

    @override_settings(PORT=2)
    def test_sync():
        assert settings.PORT == 2

    async def test_block(web_app_client):
        with pytest.raises(ZeroDivisionError), override_settings(PORT=3):
            assert settings.PORT == 3
            1 / 0
        assert settings.PORT == 8888

    @pytest.fixture
    def nested():
        with override_settings(PORT=4):
            yield

    @override_settings(MY_OWN='x')
    async def test_fixture(nested):
        assert (settings.PORT, settings.MY_OWN) == (4, 'x')

    def test_open_subsystem():
        with pytest.raises(ValueError, match='RECORDER cannot be overridden in a test: recorder is open'):
            with override_settings(RECORDER=None):
                pass
"""


def test_settings_can_be_overridden_for_a_test(tested, monkeypatch):
    tested.use_recorder(monkeypatch)
    tested.write('shop/tests/test_it.py', OVERRIDE)
    tested.run().assert_outcomes(passed=5)


ON_COMMIT = """
    import asyncio
    from colibris import transactions

    done = []

    async def test_first():
        async def later():
            await asyncio.sleep(0.05)
            done.append(1)
        transactions.on_commit(later)

    def test_second():
        assert done == [1]
"""


def test_what_a_test_left_running_is_finished_before_the_next(tested):
    tested.write('shop/tests/test_it.py', ON_COMMIT)
    tested.run().assert_outcomes(passed=2)


def test_workers_open_the_subsystems_once_each(tested, monkeypatch):
    pytest.importorskip('xdist')
    tested.use_recorder(monkeypatch)
    tests = '\n'.join(f'async def test_{number}(): pass' for number in range(20))
    tested.write('shop/tests/test_it.py', tests)
    tested.run('-n', '2').assert_outcomes(passed=20)
    notes = tested.notes()
    assert notes.count('open 1') == notes.count('close 1') == 2
    assert len([note for note in notes if note.startswith('begin')]) == 20
