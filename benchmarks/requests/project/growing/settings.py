"""The settings of a service that grows by what its environment says."""

import os

from colibris.conf.schemas import SettingsSchema, fields

DATABASE = {'backend': 'postgresql'}
MIDDLEWARE = [
    'colibris.middleware.handle_errors_json',
    'colibris.middleware.handle_auth',
    'colibris.middleware.handle_schema_validation',
    *(f'growing.middleware.pass_on_{number}' for number in range(7)),
][: int(os.environ['BENCHMARK_MIDDLEWARES'])]


# What the part "production" switches on; the rest of the benchmark measures the defaults.
if 'BENCHMARK_EDGE' in os.environ:
    _chosen = os.environ['BENCHMARK_EDGE'].split(',')
    REQUEST_TIMEOUT = 60 if 'limit' in _chosen else None
    REQUEST_IDS = 'ids' in _chosen
    ACCESS_LOG = 'log' in _chosen
    METRICS = {'path': '/metrics', 'public': True} if 'metrics' in _chosen else None
    if _chosen == ['none']:
        from colibris import edge

        edge.LAYERS = ()


class DatabaseSettingsSchema(SettingsSchema):
    BACKEND = fields.String()
    NAME = fields.String()
    HOST = fields.String()
    PORT = fields.Integer()
    USERNAME = fields.String()
    MIN_CONNECTIONS = fields.Integer()
    MAX_CONNECTIONS = fields.Integer()

    class Meta:
        prefix = 'DATABASE_'


DatabaseSettingsSchema().load_from_env(globals())
