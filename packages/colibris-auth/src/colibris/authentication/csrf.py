"""Cross-site request forgery: a cookie is sent by browsers unasked, a header is not.

A token is a nonce and its MAC under a key of its own, bound to the session that the cookie holds. The client finds it
in a cookie that its scripts can read, and sends it back as a header: the two must be equal, and be of this session.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING

from aiohttp import web

from colibris import api

if TYPE_CHECKING:
    from colibris.authentication.base import AuthenticationBackend

#: The header in which the token comes back.
HEADER = 'X-CSRF-Token'

SAFE_METHODS = frozenset({'GET', 'HEAD', 'OPTIONS'})


class CSRFError(api.Forbidden):
    """Raised when an unsafe request that a cookie identified bears no CSRF token of its session."""

    default_code = 'csrf_failed'
    default_message = f'a request that is identified by a cookie must bear its CSRF token in the header {HEADER}'


def make_token(key: bytes, session: str) -> str:
    """Return a new token for *session*."""
    nonce = secrets.token_hex(16)
    return f'{nonce}.{_mac(key, session, nonce)}'


def is_valid(key: bytes, session: str, token: str) -> bool:
    """Tell whether *token* was made for *session*; compared in constant time."""
    nonce, _, mac = token.partition('.')
    return hmac.compare_digest(_mac(key, session, nonce).encode(), mac.encode('utf-8', 'replace'))


def _mac(key: bytes, session: str, nonce: str) -> str:
    return hmac.digest(key, f'{session}.{nonce}'.encode('utf-8', 'replace'), 'sha256').hex()


def check(request: web.Request, session: str, backend: AuthenticationBackend) -> None:
    """Raise CSRFError if *request*, which a cookie identified as of *session*, is unsafe and bears no token of it."""
    if request.method in SAFE_METHODS:
        return
    sent = request.headers.getall(HEADER, [])
    if len(sent) != 1 or not backend.has_csrf_token(request, session, sent[0]):
        raise CSRFError
