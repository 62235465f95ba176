"""The API keys of accounts in their table: a key and its account are found by one query."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tortoise.expressions import Q
from tortoise.manager import Manager

from colibris.authentication.accounts import Accounts
from colibris.authentication.base import Identity
from colibris.authentication.models.api_keys import APIKey

#: How exactly the last use of a key is kept.
USE_INTERVAL = timedelta(minutes=1)

#: What the columns of a key are called in the rows of the query, beside those of the account.
_ALIAS = 'colibris_key_'

_INTEGERS = {'sqlite': 'INTEGER', 'postgres': 'BIGINT', 'mysql': 'SIGNED'}
_MARKS = {'sqlite': '?', 'postgres': '$1', 'mysql': '%s'}


class KeyTable:
    """Finds and adds the keys of *accounts*, which the table names by the values of *identity_field*."""

    def __init__(self, accounts: Accounts, identity_field: str) -> None:
        self._accounts = accounts
        self._identity_field = identity_field
        self._statement: tuple[str, str] | None = None

    async def find(self, hashed: str) -> Identity | None:
        """Return whom the key of the hash *hashed* belongs to; None if it, or its account, may not be used."""
        row = await self._fetch(hashed)
        if row is None:
            return None
        account = self._accounts.model._init_from_db(**row)
        key = _read_key(row)
        now = datetime.now(UTC)
        if (
            not hmac.compare_digest(str(key['key']).encode(), hashed.encode())
            or key['account'] != self._identity_of(account)
            or (key['expires_at'] is not None and key['expires_at'] <= now)
            or not self._accounts.is_active(account)
        ):
            return None
        account = await self._as_managed(account)
        if account is None:
            return None
        await self._note_use(key, now)
        return Identity(account, scopes=None if key['scopes'] is None else frozenset(key['scopes']))

    async def add(
        self,
        account: Any,
        hashed: str,
        *,
        hint: str,
        name: str,
        scopes: Collection[str] | None,
        expires_at: datetime | None,
    ) -> None:
        """Keep a key of *account*."""
        await APIKey.create(
            account=self._identity_of(account),
            key=hashed,
            hint=hint,
            name=name,
            scopes=None if scopes is None else sorted(scopes),
            expires_at=expires_at,
        )

    def _identity_of(self, account: Any) -> str:
        return str(getattr(account, self._identity_field))

    async def _fetch(self, hashed: str) -> dict[str, Any] | None:
        connection = self._accounts.model._choose_db(False)
        dialect = connection.capabilities.dialect
        if self._statement is None or self._statement[0] != dialect:
            self._statement = (dialect, self._write_statement(dialect))
        rows = await connection.execute_query_dict(self._statement[1], [hashed])
        return dict(rows[0]) if len(rows) == 1 else None

    def _write_statement(self, dialect: str) -> str:
        mark = '`' if dialect == 'mysql' else '"'

        def quoted(name: str) -> str:
            return f'{mark}{name}{mark}'

        meta = self._accounts.model._meta
        own = APIKey._meta.fields_db_projection
        keys = ', '.join(f'k.{quoted(column)} AS {quoted(_ALIAS + name)}' for name, column in own.items())
        columns = ', '.join(f'a.{quoted(column)}' for column in meta.fields_db_projection.values())
        identity = meta.fields_db_projection[self._identity_field]
        field_type = meta.fields_map[self._identity_field].field_type
        account = f'k.{quoted("account")}'
        if field_type is int:
            account = f'CAST({account} AS {_INTEGERS[dialect]})'
        elif field_type is uuid.UUID and dialect == 'postgres':
            account = f'CAST({account} AS UUID)'
        return (
            f'SELECT {columns}, {keys} FROM {quoted(APIKey._meta.db_table)} k '
            f'JOIN {quoted(meta.db_table)} a ON a.{quoted(identity)} = {account} '
            f'WHERE k.{quoted("key")} = {_MARKS[dialect]} LIMIT 2'
        )

    async def _as_managed(self, account: Any) -> Any:
        """Return *account*, asked for again if the model has a manager of its own, which may hide it."""
        if type(self._accounts.model._meta.manager) is Manager:
            return account
        return await self._accounts.model.get_or_none(pk=account.pk)

    async def _note_use(self, key: Mapping[str, Any], now: datetime) -> None:
        """Write that a key is used, unless that was written a moment ago."""
        noted: datetime | None = key['last_used_at']
        if noted is not None and now - noted < USE_INTERVAL:
            return
        due = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - USE_INTERVAL)
        await APIKey.filter(due, id=key['id']).update(last_used_at=now)


def _read_key(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a key in *row*, as the drivers of the databases give them, with the values of the model."""
    fields = APIKey._meta.fields_map
    return {name: fields[name].to_python_value(row[_ALIAS + name]) for name in APIKey._meta.fields_db_projection}
