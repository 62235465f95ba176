"""Passwords: hashed by argon2id, in threads, at most a few at a time."""

from __future__ import annotations

import asyncio
import os
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from colibris.api import ServiceUnavailable

if TYPE_CHECKING:
    from argon2 import PasswordHasher

T = TypeVar('T')

#: The longest password that is looked at, in characters.
MAX_LENGTH = 1024

#: How many hashes may be computed at once (each takes 64 MiB of memory), and how many may wait for that.
CONCURRENCY = max(1, min(4, os.cpu_count() or 1))
MAX_WAITING = 200

_hasher: PasswordHasher | None = None
_threads = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix='colibris-password')
_waiting = 0


async def hash_password(password: str) -> str:
    """Return the hash of *password*, with all it takes to verify it. Raises ValueError for one that is too long."""
    if len(password) > MAX_LENGTH:
        raise ValueError(f'a password may have at most {MAX_LENGTH} characters')
    prepared = _prepare(password)
    return await _run(lambda: _hashing().hash(prepared))


async def verify_password(password: str, hashed: str | None) -> bool:
    """Tell whether *hashed* was made of *password*.

    For None, which stands for an unknown account, and for what is no hash, it is False after the same time.
    """
    usable = isinstance(hashed, str) and hashed.startswith('$argon2') and len(password) <= MAX_LENGTH
    prepared = _prepare(password[:MAX_LENGTH])
    return await _run(lambda: _verify(hashed if usable and hashed else None, prepared))


def needs_rehash(hashed: str) -> bool:
    """Tell whether *hashed* was made with weaker parameters than those in use now."""
    return _hashing().check_needs_rehash(hashed)


def _hashing() -> PasswordHasher:
    """Return what hashes, by the second option that RFC 9106 recommends: 3 passes over 64 MiB.

    It is made when it is needed first, as most services only read tokens and keys.
    """
    global _hasher
    if _hasher is None:
        from argon2 import PasswordHasher

        _hasher = PasswordHasher()
    return _hasher


def _verify(hashed: str | None, password: bytes) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return _hashing().verify(hashed or _nobody(), password) and hashed is not None
    except InvalidHashError:
        return _verify(None, password)
    except VerificationError:
        return False


def _nobody() -> str:
    """Return a hash that nobody knows the password of, as none was hashed; it takes as long to verify as any."""
    from argon2.low_level import ARGON2_VERSION

    hasher = _hashing()
    salt, digest = (b64encode(os.urandom(size)).rstrip(b'=').decode() for size in (hasher.salt_len, hasher.hash_len))
    parameters = f'm={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}'
    return f'$argon2id$v={ARGON2_VERSION}${parameters}${salt}${digest}'


def _prepare(password: str) -> bytes:
    """Return the bytes that are hashed: one spelling for what looks the same (RFC 8265, OpaqueString)."""
    return unicodedata.normalize('NFC', password).encode('utf-8', 'surrogatepass')


async def _run(work: Callable[[], T]) -> T:
    """Run *work* in one of the threads. Raises ServiceUnavailable if too many wait for them."""
    global _waiting
    if _waiting >= MAX_WAITING:
        raise ServiceUnavailable(headers={'Retry-After': '5'})
    _waiting += 1
    future = asyncio.get_running_loop().run_in_executor(_threads, work)
    future.add_done_callback(_done)
    return await future


def _done(_: object) -> None:
    global _waiting
    _waiting -= 1
