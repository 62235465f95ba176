"""The settings that Colibris knows. To add one, add a line to the table."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from colibris.conf import kinds
from colibris.conf.kinds import Kind, integer, options, or_none, seconds

MIDDLEWARE = (
    'colibris.middleware.handle_errors_json',
    'colibris.middleware.handle_auth',
    'colibris.middleware.handle_schema_validation',
)

LOGGING: Mapping[str, Any] = {
    'version': 1,
    'disable_existing_loggers': False,
    'formatters': {'text': {'()': 'colibris.logs.TextFormatter'}, 'json': {'()': 'colibris.logs.JSONFormatter'}},
    'handlers': {'console': {'class': 'logging.StreamHandler', 'stream': 'ext://sys.stderr', 'formatter': 'json'}},
    'loggers': {'colibris': {'level': 'INFO'}},
    'root': {'level': 'INFO', 'handlers': ['console']},
}


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting: *kind* is what its value may be, *aliases* are other spellings of its name.

    *automatic* settings are made by Colibris and cannot be given.
    """

    name: str
    default: Any
    kind: Kind
    description: str
    aliases: tuple[str, ...] = ()
    automatic: bool = False

    def make_default(self) -> Any:
        """Return the default, a copy of its own where it can be changed."""
        return list(self.default) if isinstance(self.default, tuple) else copy.deepcopy(self.default)


_BACKEND = or_none(kinds.BACKEND)
_HEALTH = options(
    {'details': kinds.VIEWERS, 'token': or_none(kinds.TEXT), 'timeout': seconds(0.01), 'cache': seconds()}
)
_SHUTDOWN = options({'delay': seconds(), 'idle': seconds(), 'limit': seconds(), 'close': seconds(0.1)})
_SETTINGS = (
    Setting('ACCESS_LOG', None, or_none(kinds.SHARE), 'Which part of the requests is logged; in DEBUG all.'),
    Setting('ALLOWED_HOSTS', None, or_none(kinds.TEXTS), 'Names by which the service may be called.'),
    Setting('API_DOCS_PATH', '/api/docs', or_none(kinds.URL_PATH), 'Where the API documentation is served.'),
    Setting('AUTHENTICATION', None, _BACKEND, 'Tells whose request it is.'),
    Setting('AUTHORIZATION', None, _BACKEND, 'Tells who may do what.'),
    Setting('CACHE', None, _BACKEND, 'Keeps values for a while.'),
    Setting('COMPRESSION', False, kinds.SWITCH, 'Compress large answers.'),
    Setting('CORS', None, or_none(kinds.DICTIONARY), 'Which pages of other origins may read answers.'),
    Setting('DATABASE', None, or_none(kinds.DATABASE), 'Where models are kept.'),
    Setting('DEBUG', False, kinds.BOOLEAN, 'Show details of errors; for development only.'),
    Setting('EMAIL', None, _BACKEND, 'Sends mail.'),
    Setting('HEALTH', {}, _HEALTH, 'How /health/ready asks, and who is shown details.'),
    Setting('KEEP_ALIVE_TIMEOUT', 75, kinds.SECONDS, 'How long a connection without requests is kept.'),
    Setting('LISTEN', '0.0.0.0', kinds.ADDRESSES, 'Addresses that the server listens on.'),
    Setting('LOG_FORMAT', None, or_none(kinds.LOG_FORMAT), 'How lines of the log are written.'),
    Setting('LOGGING', LOGGING, kinds.DICTIONARY, 'Configuration of logging, as for logging.config.dictConfig.'),
    Setting('LOGGING_OVERRIDES', {}, kinds.DICTIONARY, 'What to change in LOGGING.'),
    Setting('MAX_CONNECTIONS', 10_000, integer(1), 'How many connections a process has at most.'),
    Setting('MAX_HEADERS', 100, integer(1, 10_000), 'How many headers a request may have.'),
    Setting('MAX_JSON_DEPTH', 500, integer(1, 500), 'How deep JSON may be nested.'),
    Setting('MAX_REQUEST_BODY_SIZE', 10 * 1024 * 1024, integer(1), 'Largest body of a request, in bytes.'),
    Setting('METRICS', None, or_none(kinds.DICTIONARY), 'Where numbers for Prometheus are served.'),
    Setting('MIDDLEWARE', MIDDLEWARE, kinds.CALLABLES, 'What each request passes, in this order.'),
    Setting('PORT', 8888, integer(0, 65535), 'Port that the server listens on; 0 takes a free one.'),
    Setting('PROJECT_PACKAGE_DIR', None, or_none(kinds.TEXT), "Folder of the project's package.", automatic=True),
    Setting('PROJECT_PACKAGE_NAME', None, or_none(kinds.TEXT), "Name of the project's package.", automatic=True),
    Setting('REQUEST_IDS', False, kinds.BOOLEAN, 'Give each request an id.'),
    Setting('READ_TIMEOUT', 30, kinds.SECONDS, 'How long the head of a request may take to arrive.'),
    Setting('REQUEST_TIMEOUT', 60, or_none(kinds.SECONDS), 'How long a request may take until its answer begins.'),
    Setting('SECRET_KEY', None, or_none(kinds.TEXT), 'What keys and tokens are derived from.'),
    Setting('SECURITY_HEADERS', True, kinds.SWITCH, 'Headers that tell browsers to be careful.'),
    Setting('SHUTDOWN', {}, _SHUTDOWN, 'How the server ends, in seconds.'),
    Setting('TASK_QUEUE', None, _BACKEND, 'Runs tasks in the background.', aliases=('TASKQUEUE',)),
    Setting('TEMPLATE', None, _BACKEND, 'Renders templates.', aliases=('TEMPLATES',)),
    Setting('TEST_DATABASE', None, or_none(kinds.TEST_DATABASE), 'What tests use in place of DATABASE.'),
    Setting('THROTTLE', None, or_none(kinds.TEXT), 'How often an account, or an address, may use a view.'),
    Setting('TRACING', None, or_none(kinds.SWITCH), 'Where traces of requests are sent.'),
    Setting('TRUSTED_PROXIES', (), kinds.TEXTS, 'Proxies that are believed whose request they hand on.'),
    Setting('WORKER_MAX_AGE', None, or_none(seconds(1)), 'Age at which a worker is replaced, in seconds.'),
    Setting('WORKER_MAX_MEMORY', None, or_none(integer(1)), 'Memory at which a worker is replaced, in bytes.'),
    Setting('WORKER_SPARE', True, kinds.BOOLEAN, 'Keep a loaded process ready to take the place of a dead worker.'),
)

KNOWN: Mapping[str, Setting] = MappingProxyType({setting.name: setting for setting in _SETTINGS})

#: Other spellings of names, and the name that each stands for.
ALIASES: Mapping[str, str] = MappingProxyType(
    {alias: setting.name for setting in _SETTINGS for alias in setting.aliases}
)
