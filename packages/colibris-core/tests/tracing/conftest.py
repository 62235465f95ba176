"""What the tests of tracing share."""

from textwrap import dedent

import pytest

from colibris.app import create_app
from colibris.tracing.testing import recorded

ROUTES = """
    import logging
    from aiohttp import web
    from opentelemetry import trace
    from colibris import api, tracing

    async def item(request):
        logging.getLogger('shop').warning('looked up')
        with tracing.span('look up', attributes={'found': 1}):
            return {'trace': tracing.carrier()}

    async def taken(request):
        raise api.Conflict

    async def fail(request):
        raise LookupError('the password is hunter2')

    async def moved(request):
        raise web.HTTPFound('/items/1?token=hunter2')

    ROUTES = [('/items/{id}', item), ('/taken', taken), ('/fail', fail), ('/moved', moved)]
"""


@pytest.fixture
async def spans():
    """The spans that are made, oldest first, while the test runs."""
    async with recorded() as exporter:
        yield exporter.get_finished_spans


@pytest.fixture
def serve(project, aiohttp_client, spans):
    async def make(settings='', tracing='TRACING = True', **modules):
        project(settings=f'{tracing}\n{dedent(settings)}', routes=ROUTES, **modules)
        return await aiohttp_client(create_app())

    return make
