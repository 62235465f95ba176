"""The application: built from the settings, opened and closed with its subsystems."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakSet

from aiohttp import WSCloseCode, web
from aiosignal import Signal

from colibris import health, middleware, plugins, readiness, responses, routes, security, subsystems
from colibris.conf import ImproperlyConfigured, settings
from colibris.edge import access, headers, timeouts
from colibris.endpoints import Endpoint, endpoints
from colibris.health import HealthException
from colibris.pipeline import Pipeline
from colibris.router import Router

__all__ = ['HealthException', 'create_app']

logger = logging.getLogger(__name__)

#: The WebSockets that are open.
_WEBSOCKETS = web.AppKey('websockets', WeakSet[web.WebSocketResponse])


def create_app() -> web.Application:
    """Build the application that the settings describe; nothing is opened before it starts.

    Its start-up opens the subsystems, calls the project's ``init``, checks that each view is guarded as it asks, and
    checks the health. Raises ImproperlyConfigured.
    """
    if not subsystems.opened():
        security.install(None)  # that of another application, which was never opened
    for subsystem in subsystems.configured():
        subsystem.prepare()
    app = web.Application(middlewares=_middlewares(), client_max_size=settings.MAX_REQUEST_BODY_SIZE)
    app._router = router = Router()
    Pipeline(app, router)
    _add_routes(app, router)
    if settings.METRICS is not None:
        from colibris import metrics

        metrics.prepare(router)
    responses.set_default_headers(headers.default_headers())
    app.on_response_prepare.append(_before_headers)
    app.on_shutdown.append(_close_websockets)
    app[_WEBSOCKETS] = WeakSet()
    app.cleanup_ctx.append(_lifespan)
    return app


async def _lifespan(app: web.Application) -> AsyncIterator[None]:
    async with subsystems.running(), _initialised(app):
        routes.check_unique(app.router)  # init may have added some
        found = endpoints(app)
        check_guarded(found)
        timeouts.check(found)
        if settings.API_DOCS_PATH is not None:
            from colibris import openapi

            openapi.setup(app)
        await _check_health()
        app[readiness.READINESS].phase = readiness.Phase.SERVING
        async with _measured():
            yield
        readiness.drain(app)
        access.write_waiting()


@asynccontextmanager
async def _measured() -> AsyncIterator[None]:
    if settings.METRICS is None:
        yield
        return
    from colibris import metrics

    async with metrics.running():
        yield


@asynccontextmanager
async def _initialised(app: web.Application) -> AsyncIterator[None]:
    """Call the project's ``init``, which may add sub-applications and signal handlers, too.

    aiohttp has closed its signals of the start by now. What ``init`` adds to ``on_startup`` is sent right after it, and
    what it adds to ``on_cleanup`` while the subsystems are still open.
    """
    startup: Signal[web.Application] = Signal(app)
    cleanup: Signal[web.Application] = Signal(app)
    closed = app._on_startup, app._on_cleanup
    app._on_startup, app._on_cleanup = startup, cleanup
    try:
        await _init(app)
    finally:
        app._on_startup, app._on_cleanup = closed
    startup.freeze()
    cleanup.freeze()
    try:
        await startup.send(app)
        yield
    finally:
        await cleanup.send(app)


async def _check_health() -> None:
    try:
        await health.check(_hook('get_health'))
    except HealthException as exc:
        raise HealthException(f'the service does not start, as it is not healthy: {exc}') from exc


async def _init(app: web.Application) -> None:
    init = _hook('init')
    if init is not None:
        _check_takes_application(init)
        result = init(app)
        if inspect.isawaitable(result):
            await result


def _check_takes_application(init: Callable[..., Any]) -> None:
    try:
        inspect.signature(init).bind(object())
    except TypeError as exc:
        raise ImproperlyConfigured(
            f'{settings.PROJECT_PACKAGE_NAME}.app.init is given the application: define it as init(application)',
            setting='init',
        ) from exc


@responses.indifferent
async def _before_headers(request: web.Request, response: web.StreamResponse) -> None:
    responses.finish(request, response)
    if isinstance(response, web.WebSocketResponse):
        request.config_dict[_WEBSOCKETS].add(response)


async def _close_websockets(app: web.Application) -> None:
    """Tell the other ends that the service goes away; they would keep it from ending otherwise."""
    closing = (socket.close(code=WSCloseCode.GOING_AWAY, message=b'the service stops') for socket in app[_WEBSOCKETS])
    await asyncio.gather(*closing, return_exceptions=True)


def _hook(name: str) -> Callable[..., Any] | None:
    """Return the function *name* of the project's ``app`` module, if it has one."""
    module = _project_module('app')
    hook = getattr(module, name, None)
    if hook is not None and not callable(hook):
        raise ImproperlyConfigured(f'{settings.PROJECT_PACKAGE_NAME}.app.{name} must be a function', setting=name)
    return hook


def _project_module(name: str) -> ModuleType | None:
    path = f'{settings.PROJECT_PACKAGE_NAME}.{name}'
    return import_module(path) if find_spec(path) is not None else None


def _add_routes(app: web.Application, router: Router) -> None:
    module = _project_module('routes')
    if module is not None:
        where = module.__name__
        routes.add_routes(router, getattr(module, 'ROUTES', ()), f'{where}.ROUTES')
        base = Path(settings.PROJECT_PACKAGE_DIR)
        routes.add_static_routes(router, getattr(module, 'STATIC_ROUTES', ()), f'{where}.STATIC_ROUTES', base)
    get_health = _hook('get_health')
    app[readiness.READINESS] = readiness.Readiness(get_health)
    own = [
        ('/health', health.make_handler(get_health)),
        ('/health/live', health.live),
        ('/health/ready', readiness.ready),
    ]
    for path, handler in own:
        if not routes.answers(router, path):  # the project may answer itself
            routes.add_own_route(router, path, handler, 'health')
    routes.check_unique(router)


def _middlewares() -> list[Any]:
    return [_load_middleware(spec) for spec in settings.MIDDLEWARE]


def _load_middleware(spec: Any) -> Any:
    where = f'MIDDLEWARE ({settings.source("MIDDLEWARE")})'
    try:
        function = plugins.load('colibris.middleware', spec) if isinstance(spec, str) else spec
    except plugins.PluginError as exc:
        exc.setting = where
        raise
    if not inspect.iscoroutinefunction(function):
        raise ImproperlyConfigured(
            f'{where}: {spec} must be an async function of (request, handler)', setting='MIDDLEWARE'
        )
    try:
        inspect.signature(function).bind(object(), handler=object())
    except TypeError as exc:
        raise ImproperlyConfigured(
            f'{where}: {spec} must take two arguments, of which the second is named handler: (request, handler)',
            setting='MIDDLEWARE',
        ) from exc
    return web.middleware(function)


def check_guarded(found: Sequence[Endpoint]) -> None:
    """Raise ImproperlyConfigured if a view asks for an account, permissions or a limit that nothing would enforce."""
    security.current_guard().check(found)
    guarded = next((endpoint for endpoint in found if endpoint.protected or endpoint.throttle is not None), None)
    if guarded is None:
        return
    order = [_load_middleware(spec) for spec in settings.MIDDLEWARE]
    if middleware.handle_auth not in order:
        wanted = 'an account or a permission' if guarded.protected else 'that it is not used too often'
        raise ImproperlyConfigured(
            f'{guarded.method} {guarded.path} ({guarded.name}) requires {wanted}, but MIDDLEWARE does not list '
            'colibris.middleware.handle_auth',
            setting='MIDDLEWARE',
        )
    validation = middleware.handle_schema_validation
    if validation in order and order.index(validation) < order.index(middleware.handle_auth):
        raise ImproperlyConfigured(
            'MIDDLEWARE must list colibris.middleware.handle_auth before handle_schema_validation, so that nobody '
            'learns what a view takes who may not use it',
            setting='MIDDLEWARE',
        )
