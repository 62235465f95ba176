"""Tasks run by dramatiq's workers, from Redis or RabbitMQ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colibris.taskqueue.dramatiq.engine import DramatiqEngine
from colibris.taskqueue.dramatiq.transport import Transport

__all__ = ['DramatiqBackend']


class DramatiqBackend(DramatiqEngine):
    """Tasks on a server: *broker* is ``'redis'``, or ``'rabbitmq'``, which needs a *store*.

    The server is given by *url*, or by *host*, *port*, *db* (Redis only), *virtual_host* (RabbitMQ only) and *tls*;
    *username* and *password* go with either. *ca_file* names authorities of one's own, *timeout* limits each wait for
    the server, in seconds. *store* is where RabbitMQ's tasks have their state and their results: the URL of a Redis
    server, or ``'database'``.
    """

    def __init__(
        self,
        *,
        broker: str = 'redis',
        url: str | None = None,
        host: str | None = None,
        port: int | None = None,
        db: int | None = None,
        virtual_host: str | None = None,
        username: str | None = None,
        password: str | None = None,
        tls: bool = False,
        ca_file: str | None = None,
        timeout: float = 5.0,
        store: str | None = None,
    ) -> None:
        server: dict[str, Any] = {'url': url, 'host': host, 'port': port, 'username': username, 'password': password}
        server |= {'tls': tls, 'ca_file': ca_file, 'timeout': timeout}
        if broker == 'redis':
            for name, value in (('store', store), ('virtual_host', virtual_host)):
                if value is not None:
                    raise ValueError(f'{name} is for RabbitMQ; leave it out, or set broker to "rabbitmq"')
            transport = _redis(db=db, **server)
        elif broker == 'rabbitmq':
            if db is not None:
                raise ValueError('db is for Redis; RabbitMQ has virtual_host')
            transport = _rabbitmq(virtual_host=virtual_host, store=store, **server)
        else:
            raise ValueError(f"broker must be 'redis' or 'rabbitmq', not {broker!r}")
        super().__init__(transport)

    @classmethod
    def model_modules(cls, options: Mapping[str, object]) -> tuple[str, ...]:
        return ('colibris.taskqueue.models.state',) if options.get('store') == 'database' else ()


def _redis(**options: Any) -> Transport:
    from colibris.taskqueue.dramatiq.redis import RedisTransport
    from colibris.taskqueue.stores.redis_server import RedisServer

    return RedisTransport(RedisServer(**options))


def _rabbitmq(*, store: str | None, virtual_host: str | None, **options: Any) -> Transport:
    if store is None:
        raise ValueError(
            'RabbitMQ keeps no results: give store, the URL of a Redis server (redis://…) or "database", for what '
            'becomes of tasks'
        )
    from colibris.taskqueue.dramatiq.rabbitmq import RabbitmqTransport

    return RabbitmqTransport(store=store, virtual_host=virtual_host, **options)
