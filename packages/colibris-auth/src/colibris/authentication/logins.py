"""Logins by name and password: slowed down where many are tried, and the same to see for unknown accounts."""

from __future__ import annotations

import logging
from typing import Any

from aiohttp import web

from colibris import api
from colibris.authentication.accounts import Accounts
from colibris.authentication.base import InvalidCredentials
from colibris.authentication.jwt import JWTBackend
from colibris.authentication.passwords import hash_password, needs_rehash, verify_password
from colibris.authentication.throttle import address_of

logger = logging.getLogger(__name__)


async def find_by_password(backend: JWTBackend, request: web.Request, name: str, password: str) -> Any:
    """Return the account that *name* and *password* are of. Raises InvalidCredentials and TooManyAttempts.

    A hash that was made with weaker parameters than those of now is replaced.
    """
    accounts = _accounts(backend)
    address = address_of(request, backend.trusted_proxies)
    attempt = await backend.throttle.attempt(name, address)
    account = await accounts.find(backend.login_field, name)
    stored = None if account is None else getattr(account, backend.password_field)
    if not await verify_password(password, stored) or stored is None:
        logger.warning('a login from %s failed', address)
        raise InvalidCredentials(headers={'WWW-Authenticate': backend.challenge})
    await attempt.succeeded()
    if needs_rehash(stored):
        await _replace(backend, account, stored, await hash_password(password))
    return account


async def begin_refresh(backend: JWTBackend, account: Any, password: str) -> str | None:
    """Return the first refresh token of a login of *account* by *password*, None if there are none.

    Raises InvalidCredentials if the password was changed meanwhile: that has ended the tokens there were, and this one
    must not outlive it.
    """
    token = await backend.begin_refresh(account)
    if token is None or backend.refresh_tokens is None:
        return token
    field = backend.password_field
    row = await _accounts(backend).model.filter(pk=account.pk).first().values_list(field)
    stored = None if row is None else row[0]
    if stored != getattr(account, field) and not await verify_password(password, stored):
        await backend.refresh_tokens.end(token)
        raise InvalidCredentials(headers={'WWW-Authenticate': backend.challenge})
    return token


async def change_password(backend: JWTBackend, request: web.Request, account: Any, old: str, new: str) -> None:
    """Give *account* the password *new*, and end its refresh tokens.

    Raises SchemaError if *old* is not its password, Conflict if that changed meanwhile, and TooManyAttempts.
    """
    address = address_of(request, backend.trusted_proxies)
    attempt = await backend.throttle.attempt(str(getattr(account, backend.login_field)), address)
    stored = getattr(account, backend.password_field)
    if not await verify_password(old, stored):
        message = 'This is not the password of the account.'
        raise api.SchemaError('the password is not changed', details={'old_password': [message]})
    await attempt.succeeded()
    if not await _replace(backend, account, stored, await hash_password(new)):
        raise api.Conflict('the password was changed meanwhile')
    if backend.refresh_tokens is not None:
        await backend.refresh_tokens.end_all(backend.identity_of(account))


async def _replace(backend: JWTBackend, account: Any, stored: str, hashed: str) -> bool:
    """Write the hash of a password unless another one was written meanwhile; tell whether it was written."""
    field = backend.password_field
    model = _accounts(backend).model
    if not await model.filter(pk=account.pk, **{field: stored}).update(**{field: hashed}):
        return False
    setattr(account, field, hashed)
    return True


def _accounts(backend: JWTBackend) -> Accounts:
    if backend.accounts is None:
        raise TypeError('logins by password need accounts in the database: give AUTHENTICATION a model')
    return backend.accounts
