"""Keys of our own: each is derived from ``SECRET_KEY`` for one purpose, so that none can stand in for another."""

from __future__ import annotations

import hmac
import logging
import secrets

from colibris.conf import ImproperlyConfigured

logger = logging.getLogger(__name__)

#: The shortest SECRET_KEY that is accepted outside of DEBUG, in bytes.
MINIMUM = 32


class SecretKeys:
    """Derives keys from the secret of a project."""

    def __init__(self, secret: str | bytes) -> None:
        self._secret = secret.encode() if isinstance(secret, str) else secret

    def derive(self, purpose: str, digest: str = 'sha256') -> bytes:
        """Return the key for *purpose*: an HMAC over it, as long as the output of *digest*."""
        return hmac.digest(self._secret, f'colibris.authentication.{purpose}'.encode(), digest)


def bind_to_account(key: bytes, secret: object, digest: str = 'sha256') -> bytes:
    """Return a key that depends on an account's *secret* too: once that changes, what was signed is worth nothing."""
    value = secret if isinstance(secret, bytes) else b'' if secret is None else str(secret).encode()
    return hmac.digest(key, value, digest)


def secret_keys(secret_key: str | None, *, debug: bool) -> SecretKeys:
    """Return the keys of a project whose ``SECRET_KEY`` is *secret_key*.

    Raises ImproperlyConfigured if it is missing or too short. In DEBUG that is only warned about; without a key, one is
    made that lasts as long as the process.
    """
    problem = _problem(secret_key)
    if problem is None:
        return SecretKeys(secret_key or '')
    if not debug:
        raise ImproperlyConfigured(
            f'{problem}: AUTHENTICATION signs with it. Put a random one into the environment, such as '
            "python -c 'import secrets; print(secrets.token_urlsafe(48))' prints",
            setting='SECRET_KEY',
        )
    logger.warning('%s; that is an error outside of DEBUG', problem)
    return SecretKeys(secret_key or secrets.token_bytes(MINIMUM))


def _problem(secret_key: str | None) -> str | None:
    if not secret_key:
        return 'SECRET_KEY is not set'
    size = len(secret_key.encode())
    return f'SECRET_KEY has {size} bytes, fewer than {MINIMUM}' if size < MINIMUM else None
