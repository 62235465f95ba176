"""Refresh tokens: each is good for one exchange; one that comes a second time ends its whole family.

A token is ``rt.FAMILY.NONCE.MAC``. The MAC is made with a key that only refresh tokens have, and with the account's
secret where there is one. So a token that is good by its MAC but is not the family's current one was exchanged before:
somebody has a copy. Exchanging is one UPDATE that names the token it replaces, which only one of several can win.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colibris.authentication.models.refresh_tokens import RefreshTokenFamily

_PREFIX = 'rt'

#: Makes the key of an account's refresh tokens.
KeyOf = Callable[[Any], bytes]


class InvalidRefreshToken(Exception):
    """Raised for a refresh token that is not good; the reason is for the log, never for the client."""


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token taken apart; nothing in it is verified."""

    family: str
    nonce: str
    mac: str

    @classmethod
    def parse(cls, text: str) -> RefreshToken:
        """Raises InvalidRefreshToken."""
        parts = text.split('.') if len(text) < 256 and text.isascii() else []
        if len(parts) != 4 or parts[0] != _PREFIX or len(parts[1]) != 32 or '\0' in text:
            raise InvalidRefreshToken('it has not the form of one')
        return cls(*parts[1:])

    @classmethod
    def make(cls, family: str, key: bytes) -> RefreshToken:
        """Return a new token of *family*."""
        nonce = secrets.token_hex(32)
        return cls(family, nonce, _mac(key, family, nonce))

    def is_good(self, key: bytes) -> bool:
        """Tell whether it was made with *key*; compared in constant time."""
        return hmac.compare_digest(_mac(key, self.family, self.nonce).encode(), self.mac.encode())

    @property
    def hash(self) -> str:
        """What the database keeps of it."""
        return hashlib.sha256(str(self).encode()).hexdigest()

    def __str__(self) -> str:
        return f'{_PREFIX}.{self.family}.{self.nonce}.{self.mac}'

    def __repr__(self) -> str:
        return f'<RefreshToken of the family {self.family[:8]}…>'


def _mac(key: bytes, family: str, nonce: str) -> str:
    return hmac.digest(key, f'{family}.{nonce}'.encode(), 'sha256').hex()


class RefreshTokens:
    """The refresh tokens of a project; *validity_seconds* count from the login, not from the last exchange."""

    def __init__(self, key_of: KeyOf, validity_seconds: int) -> None:
        self._key_of = key_of
        self._validity = timedelta(seconds=validity_seconds)
        self._cleaned: datetime | None = None

    @property
    def _table(self) -> type[RefreshTokenFamily]:
        from colibris.authentication.models.refresh_tokens import RefreshTokenFamily

        return RefreshTokenFamily

    async def begin(self, account: Any, identity: str) -> str:
        """Return the first token of a new family for *account*, which is found again by *identity*."""
        now = datetime.now(UTC)
        await self._clean(now)
        token = RefreshToken.make(secrets.token_hex(16), self._key_of(account))
        await self._table.create(id=token.family, account=identity, current=token.hash, expires_at=now + self._validity)
        return str(token)

    async def find(self, text: str) -> tuple[RefreshToken, str]:
        """Return the token in *text* and the identity of its account. Raises InvalidRefreshToken."""
        token = RefreshToken.parse(text)
        row = await self._table.get_or_none(id=token.family)
        if row is None or row.id != token.family or row.ended_at is not None or row.expires_at <= datetime.now(UTC):
            raise InvalidRefreshToken('its family is unknown, ended or expired')
        return token, row.account

    async def exchange(self, token: RefreshToken, account: Any) -> str:
        """Return the token that follows *token*, which `find` returned.

        Raises InvalidRefreshToken; if it was exchanged before, its family is at an end.
        """
        key = self._key_of(account)
        if not token.is_good(key):
            raise InvalidRefreshToken('its MAC is wrong, or the secret of the account has changed')
        following = RefreshToken.make(token.family, key)
        live = self._table.filter(id=token.family, ended_at__isnull=True)
        exchanged = await live.filter(current=token.hash, expires_at__gt=datetime.now(UTC)).update(
            current=following.hash
        )
        if not exchanged:
            await live.update(ended_at=datetime.now(UTC))
            raise InvalidRefreshToken(f'it was exchanged before: the family {token.family[:8]}… is at an end')
        return str(following)

    async def end(self, text: str) -> None:
        """End the family of the token in *text*, if it is one."""
        try:
            token, _ = await self.find(text)
        except InvalidRefreshToken:
            return
        await self._table.filter(id=token.family, ended_at__isnull=True).update(ended_at=datetime.now(UTC))

    async def end_all(self, identity: str) -> None:
        """End all families of an account."""
        await self._table.filter(account=identity, ended_at__isnull=True).update(ended_at=datetime.now(UTC))

    async def _clean(self, now: datetime) -> None:
        """Delete what has expired; once an hour is enough."""
        if self._cleaned is None or now - self._cleaned > timedelta(hours=1):
            self._cleaned = now
            await self._table.filter(expires_at__lt=now).delete()
