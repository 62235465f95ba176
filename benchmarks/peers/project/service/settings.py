"""The settings of the service. What is not here has its default, the middlewares among it."""

from colibris.conf.schemas import SettingsSchema, fields

DATABASE = {
    'backend': 'postgresql',
}

AUTHENTICATION = {
    'backend': 'jwt',
    'model': 'service.models.User',
    'identity_field': 'id',
    'refresh_validity_seconds': None,
    'validity_seconds': 24 * 3600,
}


class GeneralSettingsSchema(SettingsSchema):
    SECRET_KEY = fields.String()


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


GeneralSettingsSchema().load_from_env(globals())
DatabaseSettingsSchema().load_from_env(globals())
