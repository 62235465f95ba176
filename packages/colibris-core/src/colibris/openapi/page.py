"""The routes of the documentation: the page (Swagger UI), its files, the document, and the way there from ``/``."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from html import escape
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Any

from aiohttp import web

from colibris import api
from colibris._version import __version__
from colibris.conf import ImproperlyConfigured, settings
from colibris.endpoints import Docs, Endpoint, compile_handler, endpoints

#: Nothing from another host, nothing inline. Swagger UI keeps its icons as data.
CONTENT_SECURITY_POLICY = '; '.join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
)

_OWN = Path(__file__).parent / 'assets'

#: The files of the page: their media types, and whether they come from Swagger UI.
_ASSETS = {
    'page.js': ('text/javascript', False),
    'page.css': ('text/css', False),
    'swagger-ui-bundle.js': ('text/javascript', True),
    'swagger-ui.css': ('text/css', True),
    'favicon-32x32.png': ('image/png', True),
}

_FOREVER = 'public, max-age=31536000, immutable'
_ASK_AGAIN = 'no-cache'


def setup(app: web.Application) -> None:
    """Add the routes of the documentation to *app*, whose other routes are all known.

    The document itself is made when it is first asked for. Raises ImproperlyConfigured.
    """
    path = settings.API_DOCS_PATH.rstrip('/')
    found = endpoints(app)
    if path and _serves(app, path):
        raise ImproperlyConfigured(
            f'API_DOCS_PATH: {path!r} is already a route of the project; choose another path, or None for no '
            'documentation',
            setting='API_DOCS_PATH',
        )
    if not _serves(app, '/'):
        _add(app, '/', _page(path) if not path else _redirect(path))
    page = _page(path)
    for address in (path, f'{path}/') if path else ():
        _add(app, address, page)
    _add(app, f'{path}/openapi.json', _document(found))
    for name in _ASSETS:
        _add(app, f'{path}/{name}', _asset(name))


Plain = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _add(app: web.Application, path: str, function: Plain) -> None:
    endpoint = Endpoint(method='GET', path=path, function=function, docs=Docs(hidden=True))
    app.router.add_get(path, compile_handler(endpoint, function))


def _serves(app: web.Application, path: str) -> bool:
    """Tell whether *app* answers GET requests for *path*."""
    return any(
        _matches(resource, path) and any(route.method in ('GET', '*') for route in resource)
        for resource in app.router.resources()
    )


def _matches(resource: web.AbstractResource, path: str) -> bool:
    info = resource.get_info()
    pattern, prefix = info.get('pattern'), info.get('prefix')
    if pattern is not None:
        return pattern.fullmatch(path) is not None
    return info.get('path') == path or (prefix is not None and path.startswith(f'{prefix}/'))


def _redirect(path: str) -> Plain:
    async def redirect(request: web.Request) -> web.StreamResponse:
        """Lead to the documentation; the address is relative, as a proxy may have put a prefix before ours."""
        return web.Response(status=302, headers={'Location': path.lstrip('/')})

    return redirect


def _page(path: str) -> Plain:
    template = Template((_OWN / 'page.html').read_text('utf-8'))
    version = _assets_version()
    depth = path.count('/')

    async def page(request: web.Request) -> web.StreamResponse:
        """Show the documentation; all addresses in it are relative."""
        slash = request.path.endswith('/')
        text = template.substitute(
            title=escape(f'{settings.PROJECT_PACKAGE_NAME} API'),
            base='' if slash else f'{path.rpartition("/")[2]}/',
            root='../' * (depth if slash else depth - 1) or './',
            version=version,
        )
        headers = {'Content-Security-Policy': CONTENT_SECURITY_POLICY, 'X-Content-Type-Options': 'nosniff'}
        return _with_etag(request, text.encode(), 'text/html', headers)

    return page


def _document(found: Sequence[Endpoint]) -> Plain:
    made: asyncio.Future[bytes] | None = None

    async def document(request: web.Request) -> web.StreamResponse:
        """Give the OpenAPI document."""
        nonlocal made
        if made is None or (made.done() and (made.cancelled() or made.exception())):
            made = asyncio.ensure_future(asyncio.to_thread(_encoded_document, found))
        return _with_etag(request, await asyncio.shield(made), api.JSON)

    return document


def _encoded_document(found: Sequence[Endpoint]) -> bytes:
    from colibris.openapi.document import build_document  # with apispec, which start-up need not wait for

    return api.encode_json(build_document(found))


def _asset(name: str) -> Plain:
    content_type, foreign = _ASSETS[name]
    file = (_swagger_ui() if foreign else _OWN) / name

    async def asset(request: web.Request) -> web.StreamResponse:
        """Give a file of the page; its address bears a version, so it may be kept."""
        headers = {'Cache-Control': _FOREVER if 'v' in request.query else _ASK_AGAIN}
        response = web.FileResponse(file, headers={**headers, 'X-Content-Type-Options': 'nosniff'})
        response.content_type = content_type
        if content_type.startswith('text/'):
            response.charset = 'utf-8'
        return response

    return asset


def _with_etag(
    request: web.Request, body: bytes, content_type: str, headers: dict[str, str] | None = None
) -> web.Response:
    """Answer with *body*, or with 304 if the client has it."""
    etag = hashlib.sha256(body).hexdigest()[:32]
    asked = request.if_none_match or ()
    common: dict[str, Any] = {'headers': {'Cache-Control': _ASK_AGAIN, **(headers or {})}}
    if any(known.value in (etag, '*') for known in asked):
        response = web.Response(status=304, **common)
    else:
        charset = 'utf-8' if content_type.startswith('text/') else None
        response = web.Response(body=body, content_type=content_type, charset=charset, **common)
    response.etag = etag
    return response


def _swagger_ui() -> Path:
    """Return the folder of the files of Swagger UI, which the package swagger-ui-py brings; nothing is imported."""
    spec = find_spec('swagger_ui')
    for location in (spec.submodule_search_locations or ()) if spec is not None else ():
        folder = Path(location) / 'static'
        if (folder / 'swagger-ui-bundle.js').is_file():
            return folder
    raise ImproperlyConfigured(
        'API_DOCS_PATH: the files of the documentation page are missing: pip install swagger-ui-py, or set '
        'API_DOCS_PATH to None',
        setting='API_DOCS_PATH',
    )


def _assets_version() -> str:
    return f'{__version__}-{metadata.version("swagger-ui-py")}'
