"""Authentication by API keys."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from aiohttp import hdrs, web

from colibris.authentication.accounts import Accounts, is_storable
from colibris.authentication.base import AuthenticationBackend, Identity, InvalidCredentials

if TYPE_CHECKING:
    from colibris.authentication.keytable import KeyTable

logger = logging.getLogger(__name__)

#: How a stored key begins; what is presented must not.
STORED = 'sha256$'

#: The longest key that is looked at, in characters.
MAX_LENGTH = 512

_PREFIX = re.compile(r'[a-z0-9]{1,16}\Z')
_SCHEMES = ('bearer', 'apikey', 'api-key', 'token')


def make_key(prefix: str = 'key') -> str:
    """Return a new API key: *prefix*, by which people and scanners recognise it, and 256 random bits."""
    return f'{prefix}_{secrets.token_urlsafe(32)}'


def hash_key(key: str) -> str:
    """Return what is stored of *key*: ``sha256$`` and its hash. With 256 random bits in it, that needs no salt."""
    return STORED + hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()


class APIKeyBackend(AuthenticationBackend):
    """Takes for the account of a request whom its API key belongs to.

    A key comes in the header *header_name*, or as ``Authorization: Bearer …`` (or ``ApiKey …``, ``Token …``).

    - *model*: the model of the accounts, or its import path.
    - *key_field*: the field that holds an account's one key, as `hash_key` makes it. Not given, the accounts have any
      number of keys in the table ``colibris_api_keys``, with scopes, expiry and last use.
    - *identity_field*: the field by whose value that table refers to accounts; the primary key unless given.
    - *plain*: the keys in *key_field* may be stored as they are, too.
    - *active_field*, *inactive_field*: a field that must be true, and one that must not, for the account to be used.
    - *prefix*: how new keys begin.
    """

    reads_accounts = True

    def __init__(
        self,
        *,
        model: str | type,
        key_field: str | None = None,
        identity_field: str | None = None,
        plain: bool = False,
        active_field: str | None = None,
        inactive_field: str | None = None,
        header_name: str = 'X-API-Key',
        prefix: str = 'key',
    ) -> None:
        if not _PREFIX.match(prefix):
            raise ValueError(f'prefix has to be 1 to 16 letters in lower case or digits, not {prefix!r}')
        if plain and key_field is None:
            raise ValueError('plain says how keys are stored in key_field: give that, too')
        if identity_field is not None and key_field is not None:
            raise ValueError('identity_field has no use beside key_field')
        if header_name.lower() == 'authorization' or not re.match(r'[A-Za-z0-9-]+\Z', header_name):
            raise ValueError(f'header_name has to be the name of a header of its own, not {header_name!r}')
        self.accounts = Accounts(model, active_field=active_field, inactive_field=inactive_field)
        self.key_field = key_field
        self.identity_field = identity_field or ''
        self.plain = plain
        self.header_name = header_name
        self.prefix = prefix
        self._table: KeyTable | None = None

    def bind(self, *, secret_key: str | None, debug: bool) -> None:
        if self.plain:
            logger.warning(
                'AUTHENTICATION accepts keys that are stored as they are (plain=True): who reads the database can use '
                'them. Store them as sha256$…, and take plain away.'
            )

    async def open(self) -> None:
        self.accounts.resolve(key_field=self.key_field, identity_field=self.identity_field or None)
        if self.key_field is None:
            from colibris.authentication.keytable import KeyTable

            self.identity_field = self.identity_field or self.accounts.primary_key()
            self.accounts.warn_unless_unique('identity_field', self.identity_field)
            self._table = KeyTable(self.accounts, self.identity_field)

    @property
    def account_model(self) -> type:
        return self.accounts.model

    def model_modules(self) -> tuple[str, ...]:
        return () if self.key_field is not None else ('colibris.authentication.models.api_keys',)

    # Authenticating

    @property
    def credential_headers(self) -> Sequence[str]:
        return (hdrs.AUTHORIZATION, self.header_name)

    async def authenticate(self, request: web.Request) -> Identity | None:
        key = self._presented(request)
        if key is None:
            return None
        if len(key) > MAX_LENGTH or key.lower().startswith(STORED) or not is_storable(key):
            raise InvalidCredentials
        identity = await (self._find_by_field(key) if self._table is None else self._table.find(hash_key(key)))
        if identity is None:
            raise InvalidCredentials
        return identity

    def _presented(self, request: web.Request) -> str | None:
        """Return the key of *request*, None if it has none. Raises InvalidCredentials if there are several."""
        found = set(request.headers.getall(self.header_name, []))
        for header in request.headers.getall('Authorization', []):
            scheme, _, key = header.partition(' ')
            if scheme.lower() in _SCHEMES:
                found.add(key.strip(' '))
        if len(found) > 1:
            raise InvalidCredentials
        return found.pop() if found else None

    async def _find_by_field(self, key: str) -> Identity | None:
        field = self.key_field or ''
        accepted = [hash_key(key), key] if self.plain else [hash_key(key)]
        rows = await self.accounts.model.filter(**{f'{field}__in': accepted}).limit(2)
        if len(rows) != 1 or not self.accounts.is_active(rows[0]):
            return None
        stored = str(getattr(rows[0], field)).encode()
        good = [hmac.compare_digest(stored, each.encode()) for each in accepted]
        return Identity(rows[0]) if any(good) else None

    # Making keys

    async def create_key(
        self,
        account: Any,
        *,
        name: str = '',
        scopes: Collection[str] | None = None,
        validity_seconds: float | None = None,
    ) -> str:
        """Return a new key of *account*: the only time that it is seen.

        With *key_field* it replaces the account's key. Otherwise it is one more, called *name*, good for *scopes* only
        if they are given, for *validity_seconds* only if that is. Raises ValueError for what cannot be kept.
        """
        if not isinstance(account, self.accounts.model):
            raise TypeError(f'an account has to be a {self.accounts.model.__name__}, not {type(account).__name__}')
        if isinstance(scopes, str):
            raise ValueError('scopes have to be several texts, such as ["users:read"]')
        key = make_key(self.prefix)
        if self._table is None:
            if name or scopes is not None or validity_seconds is not None:
                raise ValueError(
                    'a key in key_field has no name, scopes or expiry; take key_field away, to keep keys in a table'
                )
            field = self.key_field or ''
            setattr(account, field, hash_key(key))
            await account.save(update_fields=[field])
            return key
        expires_at = None if validity_seconds is None else datetime.now(UTC) + timedelta(seconds=validity_seconds)
        hint = key[: len(self.prefix) + 5]
        await self._table.add(account, hash_key(key), hint=hint, name=name, scopes=scopes, expires_at=expires_at)
        return key

    # Documentation

    def security_schemes(self) -> Mapping[str, Mapping[str, Any]]:
        return {
            'apiKey': {'type': 'apiKey', 'in': 'header', 'name': self.header_name},
            'bearer': {'type': 'http', 'scheme': 'bearer', 'description': 'The API key.'},
        }

    def security_requirements(self, method: str) -> Sequence[Mapping[str, Sequence[str]]]:
        return [{'apiKey': []}, {'bearer': []}]
