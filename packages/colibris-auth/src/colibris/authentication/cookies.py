"""The cookies of a login: one that holds the token, and one from which scripts read the CSRF token."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from aiohttp import web

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")  # a token of RFC 9110
_DOMAIN = re.compile(r'\.?[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?\Z')
_LOCAL = frozenset({'localhost', '127.0.0.1', '[::1]'})


@dataclass(frozen=True, slots=True)
class CookieNames:
    """What the cookies of one request are called."""

    token: str
    csrf: str


@dataclass(slots=True)
class Cookies:
    """Sets, reads and deletes the cookies of logins.

    A *name* that is given is used to the letter. The default begins with ``__Host-``, which lets browsers accept it
    only over TLS from this very host (``__Secure-`` if *domain* is given, as the other forbids one); without it on
    localhost in DEBUG, where there is no TLS.
    """

    name: str | None = None
    domain: str | None = None
    debug: bool = False
    csrf_name: str = 'csrf_token'
    #: What they are called where they travel over TLS.
    secure_names: CookieNames = field(init=False)
    _insecure: CookieNames = field(init=False)

    def __post_init__(self) -> None:
        if self.name is not None and not _NAME.match(self.name):
            raise ValueError(f'cookie_name {self.name!r} cannot be the name of a cookie')
        if self.domain is not None and not _DOMAIN.match(self.domain):
            raise ValueError(f'cookie_domain {self.domain!r} cannot be the domain of a cookie')
        if self.domain is not None and (self.name or '').lower().startswith('__host-'):
            raise ValueError('cookie_domain cannot be given with a cookie_name that begins with __Host-')
        prefix = '__Host-' if self.domain is None else '__Secure-'
        self.secure_names = CookieNames(self.name or f'{prefix}auth_token', f'{prefix}{self.csrf_name}')
        self._insecure = CookieNames(self.name or 'auth_token', self.csrf_name)

    def is_secure(self, request: web.Request) -> bool:
        """Tell whether the cookies of *request* travel over TLS only: always, but on localhost in DEBUG."""
        return not (self.debug and _host(request) in _LOCAL)

    def names(self, request: web.Request) -> CookieNames:
        """Return what the cookies are called in *request*."""
        return self.secure_names if self.is_secure(request) else self._insecure

    def read_token(self, request: web.Request) -> str | None:
        """Return the token in the cookies of *request*, if there is one."""
        return request.cookies.get(self.names(request).token) if 'Cookie' in request.headers else None

    def read_csrf(self, request: web.Request) -> str | None:
        """Return the CSRF token in the cookies of *request*, if there is one."""
        return request.cookies.get(self.names(request).csrf)

    def set(self, request: web.Request, response: web.StreamResponse, token: str, csrf: str, age: int | None) -> None:
        """Set both cookies; they last *age* seconds, or as long as the browser is open if that is None."""
        self._write(request, response, token, csrf, age)

    def delete(self, request: web.Request, response: web.StreamResponse) -> None:
        """Have the browser forget both cookies."""
        self._write(request, response, '', '', 0)

    def _write(
        self, request: web.Request, response: web.StreamResponse, token: str, csrf: str, age: int | None
    ) -> None:
        """Write the headers; when hooks run, aiohttp has written those of the response's own cookies already."""
        names, secure = self.names(request), self.is_secure(request)
        scratch = web.StreamResponse()
        for name, value, hidden in ((names.token, token, True), (names.csrf, csrf, False)):
            scratch.set_cookie(
                name,
                value,
                max_age=age,
                expires='Thu, 01 Jan 1970 00:00:00 GMT' if age == 0 else None,
                domain=self.domain,
                path='/',
                secure=secure,
                httponly=hidden,
                samesite='Lax',
            )
        for morsel in scratch.cookies.values():
            response.headers.add('Set-Cookie', morsel.OutputString())


def _host(request: web.Request) -> str:
    host = request.headers.get('Host', '').lower()
    return host if host.endswith(']') else host.rpartition(':')[0] or host
