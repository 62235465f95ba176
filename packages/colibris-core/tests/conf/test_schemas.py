"""Settings schemas: the environment over .env over .env.default, over settings.py."""

import os
from textwrap import dedent

import pytest

from colibris import conf
from colibris.conf import ImproperlyConfigured, settings
from colibris.conf.schemas import SettingsSchema, fields, validate

SEED_GENERAL = """
    from colibris.conf.schemas import SettingsSchema, fields

    class GeneralSettingsSchema(SettingsSchema):
        DEBUG = fields.Boolean()
        LISTEN = fields.String()
        PORT = fields.Integer()
    """
SEED_DATABASE = """
    class DatabaseSettingsSchema(SettingsSchema):
        NAME = fields.String()
        HOST = fields.String()
        PORT = fields.Integer()
        USERNAME = fields.String()
        PASSWORD = fields.String()

        class Meta:
            prefix = 'DATABASE_'
    """
LOAD_GENERAL = '\nGeneralSettingsSchema().load_from_env(globals())\n'
LOAD_DATABASE = '\nDatabaseSettingsSchema().load_from_env(globals())\n'
GENERAL = dedent(SEED_GENERAL) + LOAD_GENERAL
DATABASE = dedent(SEED_GENERAL) + dedent(SEED_DATABASE) + LOAD_DATABASE


def test_the_general_example_of_the_guide_reads_the_environment(load, monkeypatch):
    for name, value in {'DEBUG': 'true', 'LISTEN': '127.0.0.1', 'PORT': '8080'}.items():
        monkeypatch.setenv(name, value)
    load(f'DEBUG = False\n{GENERAL}')
    assert (settings.DEBUG, settings.LISTEN, settings.PORT) == (True, '127.0.0.1', 8080)
    assert {settings.source(name) for name in ('DEBUG', 'LISTEN', 'PORT')} == {'environment'}


def test_the_module_of_schemas_of_the_guide_works(load):
    module = (
        dedent(SEED_GENERAL)
        + dedent(SEED_DATABASE)
        + dedent(
            """
            def load_from_env(target_settings):
                GeneralSettingsSchema().load_from_env(target_settings)
                DatabaseSettingsSchema().load_from_env(target_settings)
            """
        )
    )
    source = """
        from . import settingsschemas

        DATABASE = {'backend': 'postgresql', 'name': 'shop'}

        settingsschemas.load_from_env(globals())
        """
    load(source, settingsschemas=module, env='PORT=1\nDATABASE_HOST=db.example\n')
    assert settings.PORT == 1
    assert settings.DATABASE == {'backend': 'postgresql', 'name': 'shop', 'host': 'db.example'}
    assert settings.source('DATABASE') == 'settings.py'
    assert settings.source('DATABASE.host') == '.env'
    assert settings.source('DATABASE.name') == 'settings.py'


def test_what_is_not_given_leaves_the_setting_as_it_is(load):
    load(f'PORT = 7\n{GENERAL}')
    assert (settings.PORT, settings.source('PORT')) == (7, 'settings.py')
    assert (settings.DEBUG, settings.source('DEBUG')) == (False, 'default')


@pytest.mark.parametrize(
    ('env', 'dot_env', 'default', 'value', 'source'),
    [
        ('1', 'PORT=2', 'PORT=3', 1, 'environment'),
        (None, 'PORT=2', 'PORT=3', 2, '.env'),
        (None, 'DEBUG=1', 'PORT=3', 3, '.env.default'),
        (None, None, None, 4, 'settings.py'),
    ],
)
def test_the_environment_comes_first_then_the_files(load, monkeypatch, env, dot_env, default, value, source):
    if env is not None:
        monkeypatch.setenv('PORT', env)
    load(f'PORT = 4\n{GENERAL}', env=dot_env, default_env=default)
    assert (settings.PORT, settings.source('PORT')) == (value, source)


def test_the_environment_of_the_process_is_left_as_it_is(load):
    before = dict(os.environ)
    load(GENERAL, env='PORT=2', default_env='DEBUG=1')
    assert dict(os.environ) == before


def test_dot_env_of_the_current_folder_comes_before_the_projects(load, tmp_path):
    (tmp_path / '.env').write_text('PORT=1')
    load(GENERAL, env='PORT=2\nDEBUG=1')
    assert (settings.PORT, settings.DEBUG) == (1, False)


def test_a_folder_called_dot_env_is_no_file(load, tmp_path):
    (tmp_path / '.env').mkdir()
    load(GENERAL, env='PORT=2')
    assert settings.PORT == 2


def test_a_setting_that_is_changed_after_the_schema_is_of_the_module(load):
    load(f'{GENERAL}\nPORT = 9', env='PORT=2')
    assert (settings.PORT, settings.source('PORT')) == (9, 'settings.py')


class TestPrefix:
    def test_it_creates_the_dictionary(self, load):
        backend = DATABASE.replace('NAME = ', 'BACKEND = fields.String()\n    NAME = ', 1)
        load(backend, env='DATABASE_BACKEND=sqlite\nDATABASE_NAME=x.db\nDATABASE_PORT=5432')
        assert settings.DATABASE == {'backend': 'sqlite', 'name': 'x.db', 'port': 5432}
        assert settings.source('DATABASE') == '.env'
        assert settings.source('DATABASE.port') == '.env'

    def test_the_environment_is_the_source_of_a_dictionary_of_several(self, load, monkeypatch):
        monkeypatch.setenv('DATABASE_NAME', 'y.db')
        backend = DATABASE.replace('NAME = ', 'BACKEND = fields.String()\n    NAME = ', 1)
        load(backend, env='DATABASE_BACKEND=sqlite')
        assert settings.source('DATABASE') == 'environment'
        assert settings.key_sources('DATABASE') == {'backend': '.env'}

    def test_it_updates_a_copy_of_the_dictionary(self, load):
        load(f"COMMON = {{'backend': 'mysql'}}\nDATABASE = COMMON\n{DATABASE}", env='DATABASE_HOST=h')
        assert settings.DATABASE == {'backend': 'mysql', 'host': 'h'}
        assert settings.COMMON == {'backend': 'mysql'}

    def test_it_creates_nothing_if_nothing_is_given(self, load):
        load(DATABASE)
        assert settings.DATABASE is None

    def test_it_creates_nothing_of_defaults_alone(self):
        class CacheSettingsSchema(SettingsSchema):
            PORT = fields.Integer(load_default=6379)

            class Meta:
                prefix = 'CACHE_'

        target = {}
        CacheSettingsSchema().load_from_env(target)
        assert target == {}

    def test_it_replaces_none(self, load):
        load(
            f'DATABASE = None\n{DATABASE}'.replace('NAME = ', 'BACKEND = fields.String()\n    NAME = ', 1),
            env='DATABASE_BACKEND=sqlite',
        )
        assert settings.DATABASE == {'backend': 'sqlite'}

    def test_a_setting_that_is_no_dictionary_is_not_replaced(self, refused):
        error = refused(f"DATABASE = 'sqlite:///x.db'\n{DATABASE}", env='DATABASE_HOST=h')
        assert 'DATABASE_HOST (.env) sets a key of DATABASE, which is no dictionary' in str(error)

    def test_a_dictionary_of_the_projects_own_is_made_too(self, load):
        load(DATABASE.replace('DATABASE_', 'WAREHOUSE_'), env='WAREHOUSE_HOST=h')
        assert settings.WAREHOUSE == {'host': 'h'}

    def test_a_near_miss_of_a_setting_is_refused_with_its_source(self, refused):
        error = refused(DATABASE.replace('DATABASE_', 'DATABSE_'), env='DATABSE_HOST=h')
        assert 'DATABSE (.env) is not a setting of Colibris; did you mean DATABASE?' in str(error)

    def test_the_other_spelling_is_the_same_setting(self, load):
        schema = DATABASE.replace('DATABASE_', 'TASKQUEUE_')
        load(f"TASKQUEUE = {{'backend': 'rq'}}\n{schema}", env='TASKQUEUE_HOST=h')
        assert settings.TASK_QUEUE == {'backend': 'rq', 'host': 'h'}
        assert settings.source('TASK_QUEUE.host') == '.env'

    def test_both_spellings_are_refused(self, refused):
        schema = DATABASE.replace('DATABASE_', 'TASKQUEUE_')
        error = refused(f"TASK_QUEUE = {{'backend': 'rq'}}\n{schema}", env='TASKQUEUE_HOST=h')
        assert 'TASK_QUEUE (settings.py) and TASKQUEUE (.env) are two spellings' in str(error)

    def test_it_must_end_with_an_underscore(self, refused):
        assert 'Meta.prefix' in str(refused(DATABASE.replace('DATABASE_', 'DATABASE')))

    def test_a_key_of_a_wrong_type_names_variable_key_and_source(self, refused):
        error = refused(DATABASE, env='DATABASE_PORT=hush')
        assert str(error) == "DATABASE_PORT (.env), which sets DATABASE['port']: expected an integer"
        assert (error.setting, error.source) == ('DATABASE.port', '.env')


class TestRefusals:
    @pytest.mark.parametrize(
        ('line', 'told'),
        [
            ('PORT=hush', 'PORT (.env): expected an integer'),
            ('DEBUG=hush', 'DEBUG (.env): expected true or false'),
            ('PORT=', 'PORT (.env): expected an integer: it is empty'),
            ('PORT=80.5', 'PORT (.env): expected an integer'),
            ('PORT=99999', 'PORT (.env): expected an integer from 0 to 65535, not 99999'),
        ],
    )
    def test_a_wrong_value_names_variable_expectation_and_source(self, refused, line, told):
        error = refused(GENERAL, env=line)
        assert str(error).startswith(told)
        assert 'hush' not in str(error)
        assert error.source == '.env'

    def test_the_source_is_the_one_that_counts(self, refused, monkeypatch):
        monkeypatch.setenv('PORT', 'x')
        assert refused(GENERAL, env='PORT=1').source == 'environment'

    def test_a_required_variable_says_where_to_set_it(self, refused):
        error = refused(GENERAL.replace('fields.Integer()', 'fields.Integer(required=True)'))
        assert str(error) == 'PORT is required: set it in the environment, in .env or in .env.default'

    def test_a_validator_tells_what_it_wants(self, monkeypatch):
        class Schema(SettingsSchema):
            LEVEL = fields.String(validate=validate.OneOf(['low', 'high']))

        monkeypatch.setenv('LEVEL', 'hush')
        with pytest.raises(
            ImproperlyConfigured, match=r'LEVEL \(environment\): expected a string: Must be one of: low'
        ):
            Schema().load_from_env({})

    def test_a_near_miss_in_dot_env_is_refused(self, refused):
        error = refused(GENERAL, env='DEBGU=true')
        assert str(error) == 'DEBGU (.env) is read by no settings schema; did you mean DEBUG?'

    def test_a_near_miss_in_the_environment_is_refused(self, refused, monkeypatch):
        monkeypatch.setenv('DATABASE_HOTS', 'h')
        assert 'DATABASE_HOTS (environment)' in str(refused(DATABASE))

    def test_the_environment_may_hold_what_is_like_a_variable_that_is_given(self, load, monkeypatch):
        monkeypatch.setenv('DEBUGS', '1')
        load(GENERAL, env='DEBUG=true')

    def test_the_environment_may_hold_what_is_like_a_variable_of_the_projects_own(self, load, monkeypatch):
        monkeypatch.setenv('WORKER', '1')
        load(GENERAL.replace('PORT', 'WORKERS'))

    def test_a_variable_in_dot_env_that_no_schema_reads_is_refused_under_a_prefix_of_ours(self, refused):
        error = refused(DATABASE, env='DATABASE_USER=me')
        assert 'DATABASE_USER (.env) is read by no settings schema' in str(error)
        assert 'DATABASE_USERNAME' in str(error)

    def test_the_environment_may_hold_more_under_a_prefix_of_ours(self, load, monkeypatch):
        monkeypatch.setenv('DATABASE_SERVICE_HOST', '10.0.0.1')
        load(DATABASE)

    def test_other_variables_in_dot_env_are_left_alone(self, load):
        load(GENERAL, env='COMPOSE_PROJECT_NAME=shop')

    @pytest.mark.parametrize(('text', 'line'), [('PORT=1\n\nwhat is this\n', 3), ('\n\nPORT\n', 3), ("A='x\n", 1)])
    def test_a_line_that_cannot_be_read_is_told(self, refused, text, line):
        assert f'.env, line {line}: expected NAME=value' in str(refused(GENERAL, env=text))

    def test_bytes_that_are_no_text_are_told(self, package, tmp_path):
        name = package(GENERAL)
        (tmp_path / 'root' / '.env').write_bytes(b'PORT=\xff')
        with pytest.raises(ImproperlyConfigured, match=r'\.env cannot be read'):
            conf.setup(name)

    def test_a_field_in_lower_case_is_refused(self):
        class Schema(SettingsSchema):
            port = fields.Integer()

        with pytest.raises(ImproperlyConfigured, match=r'Schema.port must be in upper case'):
            Schema().load_from_env({})


class Values(SettingsSchema):
    NAME = fields.String()
    MAYBE = fields.Integer(allow_none=True)
    HOSTS = fields.List(fields.String())
    PORTS = fields.List(fields.Integer())
    LIMITS = fields.Dict()
    RATIO = fields.Float(load_default=0.5)


@pytest.mark.parametrize(
    ('name', 'text', 'value'),
    [
        ('NAME', '', ''),
        ('NAME', ' x ', ' x '),
        ('MAYBE', '', None),
        ('MAYBE', '3', 3),
        ('HOSTS', 'a, b', ['a', 'b']),
        ('HOSTS', '["a,b"]', ['a,b']),
        ('PORTS', '1,2', [1, 2]),
        ('LIMITS', '{"a": 1}', {'a': 1}),
        ('RATIO', '1.5', 1.5),
    ],
)
def test_text_becomes_what_the_field_is(monkeypatch, name, text, value):
    target = {}
    monkeypatch.setenv(name, text)
    Values().load_from_env(target)
    assert target[name] == value


@pytest.mark.parametrize(('name', 'text'), [('LIMITS', '{'), ('HOSTS', ''), ('PORTS', '1,x'), ('HOSTS', '["a"')])
def test_text_that_the_field_cannot_be_is_refused(monkeypatch, name, text):
    monkeypatch.setenv(name, text)
    with pytest.raises(ImproperlyConfigured, match=rf'^{name} \(environment\): expected a'):
        Values().load_from_env({})


def test_a_default_of_a_field_counts_where_there_is_no_value():
    empty, filled = {}, {'RATIO': 0.1}
    Values().load_from_env(empty)
    Values().load_from_env(filled)
    assert (empty, filled) == ({'RATIO': 0.5}, {'RATIO': 0.1})


def test_quotes_comments_and_references_in_dot_env_are_understood(load):
    load(GENERAL.replace('PORT', 'NAME'), env='export NAME=3 # three\nLISTEN="${NAME}.0.0.1"\n')
    assert (settings.NAME, settings.LISTEN) == (3, '3.0.0.1')
