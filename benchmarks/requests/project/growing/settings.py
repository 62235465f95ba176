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
