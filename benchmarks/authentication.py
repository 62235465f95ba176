"""What a JSON Web Token costs a request: the guard's part, without sockets and without the query for the account.

Both sides take turns in short rounds; the median round of each counts. CPU time of the thread is what is measured.
"""

import sys

if not __package__:  # run as a file: its folder must not hide the standard library's `email`
    sys.path.pop(0)

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median
from types import SimpleNamespace
from typing import Any

import jwt
from aiohttp.test_utils import make_mocked_request

from colibris.authentication.guard import Guard
from colibris.authentication.jwt import JWTBackend
from colibris.endpoints import Endpoint
from colibris.security import NoGuard

SECRET_KEY = 'a-secret-key-of-the-benchmark-that-is-long-enough'


class OneAccount:
    """The accounts of a database that answers at once, as its query is not what is measured."""

    def __init__(self, account: Any) -> None:
        self._account = account

    async def find(self, field: str, text: str) -> Any:
        return self._account


async def measure(calls: dict[str, Callable[[], Awaitable[object]]], rounds: int, number: int) -> dict[str, float]:
    """Return the CPU seconds that each of *calls* takes: the median of *rounds*, in which each runs *number* times."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begun = time.thread_time()
            for _ in range(number):
                await call()
            times[name].append((time.thread_time() - begun) / number)
    return {name: median(values) for name, values in times.items()}


async def main(rounds: int, number: int) -> None:
    backend = JWTBackend()
    backend.bind(secret_key=SECRET_KEY, debug=False)
    await backend.open()
    token = backend.make_token('ann')
    key = backend._keys['HS256']
    with_secret = JWTBackend(model='x.User', secret_field='password')
    with_secret.bind(secret_key=SECRET_KEY, debug=False)
    account = SimpleNamespace(password='$argon2id$v=19$m=65536,t=3,p=4$' + 'x' * 60)
    with_secret.accounts = OneAccount(account)  # type: ignore[assignment]
    theirs = jwt.encode(
        {'sub': 'ann', 'iat': int(time.time()), 'exp': int(time.time()) + 3600, 'jti': 'x' * 16},
        with_secret._account_key('HS256', account),
        'HS256',
    )
    endpoint = Endpoint('GET', '/', lambda request: None, authentication_required=True)
    nobody, request, other = (
        make_mocked_request('GET', '/', headers=headers)
        for headers in ({}, {'Authorization': f'Bearer {token}'}, {'Authorization': f'Bearer {theirs}'})
    )

    async def pyjwt() -> object:
        return jwt.decode(token, key, ['HS256'], options={'require': ['exp']})

    calls = {
        'no guard': lambda: NoGuard().admit(nobody, None),
        'HS256, claims': lambda: Guard(backend).admit(request, endpoint),
        'HS256, account with a secret': lambda: Guard(with_secret).admit(other, endpoint),
        'PyJWT alone': pyjwt,
    }
    found = await measure(calls, rounds, number)
    for name, seconds in found.items():
        print(f'  {name:32} {seconds * 1e6:6.1f} µs')
    dearest = max(found['HS256, claims'], found['HS256, account with a secret'])
    print(f'  authentication adds {(dearest - found["no guard"]) * 1e6:.1f} µs')


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=30)
    parser.add_argument('--number', type=int, default=300)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.rounds, arguments.number))
