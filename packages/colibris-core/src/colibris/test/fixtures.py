"""The fixtures of a project's tests. Registered by `colibris.test.plugin`, in projects only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient
from colibris import subsystems, transactions
from colibris.test.session import Session


@pytest_asyncio.fixture(scope='session', loop_scope='session', autouse=True)
async def colibris_session() -> AsyncIterator[Session]:
    """Open the project's subsystems for the whole run: a test database is made and migrated once."""
    session = Session()
    await session.open()
    session.show()
    yield session
    await session.close()


@pytest_asyncio.fixture(loop_scope='session', autouse=True)
async def colibris_case(request: pytest.FixtureRequest, colibris_session: Session) -> AsyncIterator[None]:
    """Keep each test from seeing what another did: what it writes to the database is rolled back."""
    _check_loop(request.node)
    colibris_session.show()
    if request.node.get_closest_marker('isolated_database') is not None:
        try:
            yield
        finally:
            await transactions.drain()
            await colibris_session.close()
            await colibris_session.open()
        return
    async with AsyncExitStack() as stack:
        for subsystem in subsystems.opened():
            await stack.enter_async_context(subsystem.test_case())
        stack.push_async_callback(transactions.drain)
        yield


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
async def web_app_client(web_app: web.Application, aiohttp_client: Any) -> TestClient[web.Request, web.Application]:
    """A client of the application, which runs in the test's own event loop: ``await web_app_client.get('/health')``."""
    client: TestClient[web.Request, web.Application] = await aiohttp_client(web_app)
    return client
