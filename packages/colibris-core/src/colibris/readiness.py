"""Whether a process may be given requests: ``/health/ready``, and what it asks."""

from __future__ import annotations

import asyncio
import functools
import hmac
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiohttp import web

from colibris import api, health, subsystems
from colibris.conf import settings
from colibris.conf.masking import mask

logger = logging.getLogger(__name__)

#: How long each check may take, and how long an answer is good for, in seconds, unless HEALTH says otherwise.
TIME_LIMIT = 2.0
LIFETIME = 1.0

#: The header that bears HEALTH's token; Authorization is for accounts.
TOKEN_HEADER = 'X-Health-Token'

_FORWARDED = ('Forwarded', 'X-Forwarded-For', 'X-Real-IP')


class Phase(StrEnum):
    """Where in its life a process is."""

    STARTING = 'starting'
    SERVING = 'serving'
    DRAINING = 'draining'


class Unready(api.ServiceUnavailable):
    """Raised when the service must not be given requests at the moment."""

    default_code = 'unready'
    default_message = 'the service is not ready'


@dataclass(frozen=True, slots=True)
class Result:
    """What a check found: how long it took, in seconds, and what is wrong, if something is."""

    duration: float
    error: str | None = None

    def as_json(self) -> dict[str, object]:
        state = 'unhealthy' if self.error else 'healthy'
        told = {'error': self.error} if self.error else {}
        return {'state': state, 'duration': round(self.duration, 6), **told}


Check = Callable[[], Awaitable[object]]


class Readiness:
    """Asks every subsystem, and the project, at once: for all who ask within a short time together."""

    def __init__(self, get_health: Callable[[], Any] | None) -> None:
        self.phase = Phase.STARTING
        self._get_health = get_health
        self._asking: asyncio.Task[Mapping[str, Result]] | None = None
        self._asked_at = 0.0
        self._running: dict[str, asyncio.Task[Result]] = {}

    async def ask(self) -> Mapping[str, Result]:
        """Return what each check found, by name; an answer that is young enough is given again."""
        loop = asyncio.get_running_loop()
        lifetime = settings.HEALTH.get('cache', LIFETIME)
        old = self._asking is not None and self._asking.done() and loop.time() - self._asked_at >= lifetime
        if self._asking is None or old:
            self._asking = loop.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> Mapping[str, Result]:
        loop = asyncio.get_running_loop()
        limit = settings.HEALTH.get('timeout', TIME_LIMIT)
        # What did not even end when it was cancelled is not asked again.
        hanging = {name: task for name, task in self._running.items() if not task.done()}
        checks = {name: check for name, check in self._checks().items() if name not in hanging}
        self._running = hanging | {name: loop.create_task(_run(name, check)) for name, check in checks.items()}
        if self._running:
            await asyncio.wait(self._running.values(), timeout=limit)
        found = {name: _result(name, task, limit) for name, task in self._running.items()}
        self._asked_at = loop.time()
        return found

    def _checks(self) -> dict[str, Check]:
        checks: dict[str, Check] = {subsystem.name: subsystem.check_health for subsystem in subsystems.opened()}
        if self._get_health is not None:
            checks['project'] = functools.partial(health.call, self._get_health)
        return checks

    def drain(self) -> None:
        """Be unready from now on, as the service is about to stop."""
        self.phase = Phase.DRAINING


async def _run(name: str, check: Check) -> Result:
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        answer: object = await check()
    except Exception as exc:
        error = mask(str(exc)) or type(exc).__name__
        logger.error('%s is unhealthy: %s', name, error)
        return Result(loop.time() - began, error)
    status = answer.status if isinstance(answer, web.Response) else 200  # get_health may answer as it likes
    return Result(loop.time() - began, f'it answered {status}' if status >= 400 else None)


def _result(name: str, task: asyncio.Task[Result], limit: float) -> Result:
    if task.done() and not task.cancelled():
        return task.result()
    task.cancel()
    logger.error('%s is unhealthy: no answer within %g seconds', name, limit)
    return Result(limit, f'no answer within {limit:g} seconds')


READINESS = web.AppKey('readiness', Readiness)


def drain(app: web.Application) -> None:
    """Make *app* unready, if it is one of Colibris."""
    readiness = app.get(READINESS)
    if readiness is not None:
        readiness.drain()


async def ready(request: web.Request) -> web.Response:
    """Tell whether the service may be given requests; those who are allowed to are shown what each part says."""
    readiness = request.config_dict[READINESS]
    if readiness.phase is not Phase.SERVING:
        raise Unready(f'the service is {readiness.phase}')
    found = await readiness.ask()
    shown = {name: result.as_json() for name, result in found.items()} if may_see_details(request) else None
    if any(result.error for result in found.values()):
        raise Unready(details={'checks': shown} if shown is not None else None)
    return api.json_response({'state': 'ready'} | ({'checks': shown} if shown is not None else {}))


ready.throttle = None  # type: ignore[attr-defined]
ready.responses = {503: Unready}  # type: ignore[attr-defined]  # for the documentation


def may_see_details(request: web.Request) -> bool:
    """Tell whether HEALTH lets the client see the details: by its token, or by its address if nobody stands between."""
    allowed = settings.HEALTH.get('details', False)
    if settings.DEBUG or allowed is True:
        return True
    token = settings.HEALTH.get('token')
    given = request.headers.get(TOKEN_HEADER, '')
    if token and hmac.compare_digest(given.encode('utf-8', 'surrogateescape'), token.encode()):
        return True
    return bool(allowed) and not any(name in request.headers for name in _FORWARDED) and _is_in(request, allowed)


def _is_in(request: web.Request, networks: Sequence[str]) -> bool:
    try:
        address = ipaddress.ip_address(request.remote or '')
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(network) for network in networks)
