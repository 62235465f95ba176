"""The fixtures of a project's tests. Registered by `colibris.test.plugin`, in projects only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from colibris import subsystems, transactions


@pytest_asyncio.fixture(scope='session', loop_scope='session', autouse=True)
async def colibris_session() -> AsyncIterator[None]:
    """Open the project's subsystems for the whole run: a test database is made and migrated once."""
    failure = None
    async with AsyncExitStack() as stack:
        try:
            found = subsystems.configured()
            for subsystem in found:
                await stack.enter_async_context(subsystem.test_session())
        except Exception as exc:
            if not _speaks_for_itself(exc):
                raise
            failure = str(exc)
        if failure is not None:
            pytest.fail(failure, pytrace=False)
        stack.enter_context(subsystems.adopt(found))
        stack.push_async_callback(transactions.drain)
        yield


@pytest_asyncio.fixture(loop_scope='session', autouse=True)
async def colibris_case(request: pytest.FixtureRequest, colibris_session: None) -> AsyncIterator[None]:
    """Keep each test from seeing what another did: what it writes to the database is rolled back."""
    _check_loop(request.node)
    isolated = request.node.get_closest_marker('isolated_database') is not None
    async with AsyncExitStack() as stack:
        for subsystem in subsystems.opened():
            await stack.enter_async_context(subsystem.test_case(isolated=isolated))
        stack.push_async_callback(transactions.drain)
        yield


def _speaks_for_itself(error: Exception) -> bool:
    """Tell whether *error* is one of ours, made to be read without its traceback."""
    return type(error).__module__.startswith('colibris.')


def _check_loop(node: pytest.Item) -> None:
    marker = node.get_closest_marker('asyncio')
    scope = marker.kwargs.get('loop_scope', 'session') if marker is not None else 'session'
    if scope != 'session' and subsystems.opened():
        pytest.fail(
            f'{node.nodeid} asks for an event loop of scope {scope!r}, but the connections of the project belong to '
            "that of the session: remove loop_scope from the test's asyncio marker",
            pytrace=False,
        )


@pytest.fixture
def web_app() -> web.Application:
    """The application, made anew for each test. Define a fixture of this name to test a changed one."""
    from colibris.app import create_app

    return create_app()


@pytest_asyncio.fixture(loop_scope='session')
async def web_app_client(
    web_app: web.Application, aiohttp_client_cls: type[TestClient[web.Request, web.Application]]
) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """A client of the application, which runs in the test's own event loop: ``await web_app_client.get('/health')``."""
    client = aiohttp_client_cls(TestServer(web_app))
    try:
        await client.start_server()
        yield client
    finally:
        await client.close()
