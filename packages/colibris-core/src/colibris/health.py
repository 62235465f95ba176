"""The health of a service: each subsystem that is open, and what the project's ``get_health`` says."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Any

from aiohttp import web

from colibris import api, subsystems
from colibris.conf import settings

logger = logging.getLogger(__name__)

#: How long each subsystem, and the project, may take to tell their health, in seconds.
TIME_LIMIT = 5.0

HEALTHY = 'healthy'


class HealthException(Exception):
    """Raised by a health check to say that the service cannot do its work; the message is given to the client."""


async def check(get_health: Callable[[], Any] | None) -> Any:
    """Ask every open subsystem, then *get_health* (sync or async); return what the latter says.

    Raises HealthException.
    """
    await asyncio.gather(*(_check_subsystem(subsystem) for subsystem in subsystems.opened()))
    if get_health is None:
        return HEALTHY
    try:
        async with asyncio.timeout(TIME_LIMIT):
            return await call(get_health)
    except HealthException:
        raise
    except TimeoutError as exc:
        raise HealthException(f'the health check takes longer than {TIME_LIMIT:.0f} seconds') from exc
    except Exception as exc:
        logger.exception('get_health failed')
        raise HealthException(_explain('the health check failed', exc)) from exc


async def call(get_health: Callable[[], Any]) -> Any:
    """Return what *get_health*, sync or async, says."""
    answer = get_health()
    return await answer if inspect.isawaitable(answer) else answer


async def _check_subsystem(subsystem: subsystems.Subsystem[Any]) -> None:
    try:
        async with asyncio.timeout(TIME_LIMIT):
            await subsystem.check_health()
    except HealthException:
        raise
    except Exception as exc:
        logger.error('%s is unhealthy: %s', subsystem.name, exc or type(exc).__name__)
        raise HealthException(_explain(f'{subsystem.name} is unhealthy', exc)) from exc


def _explain(message: str, exc: Exception) -> str:
    return f'{message}: {str(exc) or type(exc).__name__}' if settings.DEBUG else message


async def live(request: web.Request) -> web.Response:
    """Tell that the process answers; nothing else is asked."""
    return api.json_response('alive')


live.throttle = None  # type: ignore[attr-defined]


def make_handler(get_health: Callable[[], Any] | None) -> Callable[..., Any]:
    """Make the handler of ``/health``, which asks the subsystems and *get_health*."""

    async def health(request: web.Request) -> web.Response:
        """Tell whether the service can do its work."""
        try:
            answer = await check(get_health)
        except HealthException as exc:
            raise api.Unhealthy(str(exc) or None) from exc
        return answer if isinstance(answer, web.Response) else api.json_response(answer)

    health.__qualname__ = health.__name__
    health.throttle = None  # type: ignore[attr-defined]
    health.responses = {500: api.Unhealthy}  # type: ignore[attr-defined]  # for the documentation
    return health
