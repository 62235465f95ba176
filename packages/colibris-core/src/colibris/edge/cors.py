"""Cross-origin resource sharing: which pages of other origins may read what the service answers (Fetch Standard)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from aiohttp import hdrs, web

from colibris import api, responses
from colibris.conf import settings
from colibris.edge.layer import Handle, invalid, options, refuse, texts

_ORIGIN = re.compile(r'[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?\Z')

#: The keys of the setting.
DEFAULTS = {
    'origins': (),
    'methods': ('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'),
    'headers': ('Authorization', 'Content-Type', 'X-CSRF-Token', 'X-Request-ID'),
    'expose': (),
    'credentials': False,
    'max_age': 600,
}


class CrossOriginDenied(api.Forbidden):
    """Raised when a page of another origin asks whether it may do what it may not."""

    default_code = 'cross_origin_denied'
    default_message = 'pages of this origin may not make this request'


@dataclass(frozen=True, slots=True)
class Rules:
    """Who may do what, with the values of headers as they are sent."""

    origins: frozenset[str]
    methods: frozenset[str]
    headers: frozenset[str]
    shown_methods: str
    shown_headers: str
    expose: str
    credentials: bool
    max_age: str

    @property
    def for_everybody(self) -> bool:
        return '*' in self.origins

    def allowed_origin(self, origin: str) -> str | None:
        """Return the value of Access-Control-Allow-Origin for *origin*."""
        if self.for_everybody:
            return '*'
        return origin if origin.lower() in self.origins else None


def layer(handle: Handle) -> Handle:
    """Let the origins in CORS in."""
    if settings.CORS is None:
        return handle
    rules = rules_of(settings.CORS)

    async def share(request: web.Request) -> web.StreamResponse:
        origin = request.headers.get(hdrs.ORIGIN)
        if not rules.for_everybody:
            responses.add_header(request, hdrs.VARY, hdrs.ORIGIN)
        if origin is None:
            return await handle(request)
        allowed = rules.allowed_origin(origin)
        if request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
            return _preflight(request, rules, allowed)
        if allowed is not None:
            _share(request, rules, allowed)
            if rules.expose:
                responses.add_header(request, hdrs.ACCESS_CONTROL_EXPOSE_HEADERS, rules.expose)
        return await handle(request)

    return share


def _share(request: web.Request, rules: Rules, allowed: str) -> None:
    responses.add_header(request, hdrs.ACCESS_CONTROL_ALLOW_ORIGIN, allowed)
    if rules.credentials:
        responses.add_header(request, hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS, 'true')


def _preflight(request: web.Request, rules: Rules, allowed: str | None) -> web.Response:
    """Answer the question that a browser asks before a request; no view is asked, and nobody is authenticated."""
    if allowed is None:
        return refuse(request, CrossOriginDenied())
    _share(request, rules, allowed)
    method = request.headers[hdrs.ACCESS_CONTROL_REQUEST_METHOD]
    if method not in rules.methods:
        return refuse(request, CrossOriginDenied(f'pages of this origin may not use the method {method[:20]}'))
    asked = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS, '')
    missing = [name.strip() for name in asked.split(',') if name.strip() and name.strip().lower() not in rules.headers]
    if missing:
        return refuse(request, CrossOriginDenied(f'pages of this origin may not send the header {missing[0][:80]}'))
    response = web.Response(status=204)
    response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = rules.shown_methods
    response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = rules.shown_headers
    response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = rules.max_age
    responses.finish(request, response)
    return response


def rules_of(value: Any) -> Rules:
    """Return the rules in *value*, the setting. Raises ImproperlyConfigured."""
    given = options('CORS', value, DEFAULTS)
    origins = texts('CORS', 'origins', given['origins'])
    if not origins:
        raise invalid('CORS', "origins must list who is let in, such as ['https://app.example.com']")
    for origin in origins:
        _check_origin(origin)
    if not isinstance(given['credentials'], bool):
        raise invalid('CORS', f'credentials must be True or False, not {given["credentials"]!r}')
    if '*' in origins and given['credentials']:
        raise invalid('CORS', "credentials cannot be let in from everywhere: list the origins instead of '*'")
    age = given['max_age']
    if isinstance(age, bool) or not isinstance(age, int) or age < 0:
        raise invalid('CORS', f'max_age must be a number of seconds, not {age!r}')
    lists = {key: texts('CORS', key, given[key]) for key in ('methods', 'headers', 'expose')}
    for key, names in lists.items():
        if '*' in names:
            raise invalid('CORS', f"{key} must be listed one by one; '*' is not taken")
    return Rules(
        origins=frozenset(origin.lower() for origin in origins),
        methods=frozenset(name.upper() for name in lists['methods']),
        headers=frozenset(name.lower() for name in lists['headers']),
        shown_methods=', '.join(name.upper() for name in lists['methods']),
        shown_headers=', '.join(lists['headers']),
        expose=', '.join(lists['expose']),
        credentials=given['credentials'],
        max_age=str(age),
    )


def _check_origin(origin: str) -> None:
    if origin != '*' and not _ORIGIN.match(origin.lower()):
        raise invalid(
            'CORS',
            f"{origin!r} is no origin: write scheme and host, and the port if it is not the scheme's own, without a "
            "path, such as 'https://app.example.com'",
        )
