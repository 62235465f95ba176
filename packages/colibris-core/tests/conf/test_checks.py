"""Settings that cannot be meant are refused: name, expectation and source are told, secrets are not."""

import pytest

from colibris import conf, plugins

GOOD = {
    'API_DOCS_PATH': ['/', '/docs', None],
    'CACHE': [None, {'backend': 'locmem', 'size': 3}],
    'DATABASE': [None, {'backend': 'sqlite'}, 'sqlite:///x.db', 'postgresql://u:p@h/n'],
    'DEBUG': [True, False],
    'HEALTH': [{}, {'details': True}, {'details': ['10.0.0.0/8', '::1'], 'token': 'x', 'timeout': 1, 'cache': 0}],
    'LISTEN': ['127.0.0.1', ['127.0.0.1', '::1'], ('::1',)],
    'LOGGING_OVERRIDES': [{}, {'root': {'level': 'DEBUG'}}],
    'MAX_REQUEST_BODY_SIZE': [1, 2**40],
    'MIDDLEWARE': [[], ['a.b'], ('a.b', print)],
    'PORT': [0, 80, 65535],
    'SECRET_KEY': ['x', None],
    'SHUTDOWN': [{}, {'delay': 5, 'idle': 0, 'limit': 2.5, 'close': 10}],
    'TEST_DATABASE': [None, {}, {'name': 'x'}, 'sqlite:///x.db'],
    'WORKER_MAX_AGE': [None, 1, 3600.5],
    'WORKER_MAX_MEMORY': [None, 1, 2**30],
}
BAD = {
    'API_DOCS_PATH': ['docs', '', 3, False, '/docs/{x}', '//docs', '/a b'],
    'AUTHENTICATION': ['jwt', {}, {'model': 'x'}],
    'CACHE': ['locmem', {'size': 3}, [], {3: 4, 'backend': 'x'}],
    'DATABASE': ['x.db', {'name': 'x'}, 3],
    'DEBUG': ['true', 1, None],
    'HEALTH': [None, {'detail': True}, {'details': 'all'}, {'details': ['10.0.0.1/8']}, {'token': ''}, {'timeout': 0}],
    'LISTEN': ['', [], [''], 3, None],
    'LOGGING': ['x', None],
    'LOGGING_OVERRIDES': [None, []],
    'MAX_REQUEST_BODY_SIZE': [0, -1, '10', 1.5, True, None],
    'MIDDLEWARE': ['a.b', [3], [''], None, {}],
    'PORT': [-1, 65536, '80', 80.0, True, None],
    'SECRET_KEY': ['', 3, b'x'],
    'SHUTDOWN': [None, 30, {'delays': 1}, {'delay': -1}, {'limit': '5'}, {'close': True}],
    'TASK_QUEUE': [{}],
    'TEMPLATES': [{'paths': []}],
    'TEST_DATABASE': [3, 'x'],
    'WORKER_MAX_AGE': [0, -5, '60'],
    'WORKER_MAX_MEMORY': [0, 1.5, '1G'],
    'WORKER_SPARE': [None, 1],
}


@pytest.mark.parametrize(('name', 'value'), [(name, value) for name in GOOD for value in GOOD[name]])
def test_a_value_of_the_right_kind_is_taken(name, value):
    with conf.settings.override(**{name: value}):
        assert getattr(conf.settings, name) == value


@pytest.mark.parametrize(('name', 'value'), [(name, value) for name in BAD for value in BAD[name]])
def test_a_value_of_a_wrong_kind_is_refused(refused, name, value):
    error = refused(f'{name} = {value!r}')
    spelling = {'TEMPLATES': 'TEMPLATE'}.get(name, name)
    assert str(error).startswith(f'{spelling} (settings.py): expected ')
    assert (error.setting, error.source) == (spelling, 'settings.py')


def test_what_was_expected_and_what_there_is_are_told(refused):
    assert str(refused('PORT = 70000')) == 'PORT (settings.py): expected an integer from 0 to 65535, not 70000'
    told = str(refused("DATABASE = {'name': 'x', 'password': 'hush'}"))
    assert "with the key 'backend'" in told
    assert "not a dictionary with the keys 'name', 'password'" in told


@pytest.mark.parametrize('name', ['SECRET_KEY', 'DATABASE', 'CACHE'])
def test_a_refused_value_that_may_be_secret_is_not_shown(refused, name):
    assert 'hush' not in str(refused(f"{name} = ['hush']"))
    assert 'hush' not in str(refused(f"{name} = b'hush'"))


@pytest.mark.parametrize(
    ('name', 'meant'),
    [
        ('DATABSE', 'DATABASE'),
        ('DATABASES', 'DATABASE'),
        ('DATA_BASE', 'DATABASE'),
        ('MIDLEWARE', 'MIDDLEWARE'),
        ('MIDDLEWARES', 'MIDDLEWARE'),
        ('AUTHENTIFICATION', 'AUTHENTICATION'),
        ('AUTHORISATION', 'AUTHORIZATION'),
        ('CACHES', 'CACHE'),
        ('CAHCE', 'CACHE'),
        ('DEBGU', 'DEBUG'),
        ('EMIAL', 'EMAIL'),
        ('LISTNE', 'LISTEN'),
        ('LOGING', 'LOGGING'),
        ('LOGGING_OVERRIDE', 'LOGGING_OVERRIDES'),
        ('MAX_REQUESTS_BODY_SIZE', 'MAX_REQUEST_BODY_SIZE'),
        ('PROT', 'PORT'),
        ('PORRT', 'PORT'),
        ('SECRETKEY', 'SECRET_KEY'),
        ('SECRET_KYE', 'SECRET_KEY'),
        ('TASK_QEUE', 'TASK_QUEUE'),
        ('TEMPLATS', 'TEMPLATE'),
        ('TESTDATABASE', 'TEST_DATABASE'),
        ('API_DOC_PATH', 'API_DOCS_PATH'),
    ],
)
def test_a_near_miss_is_refused(refused, name, meant):
    error = refused(f'{name} = 1')
    assert f'{name} (settings.py) is not a setting of Colibris; did you mean {meant}' in str(error)
    assert (error.setting, error.source) == (name, 'settings.py')


@pytest.mark.parametrize(
    'name',
    [
        'CACHE_TTL',
        'DATABASE_2',
        'DATABASE2',
        'DATABASE_RO',
        'DATABASE_URL',
        'DEBUG_TOOLBAR',
        'EMAIL_SUBJECT',
        'EMAIL_TO',
        'FORT',
        'GMAIL',
        'HOST',
        'LATEST_DATABASE',
        'LISTENER',
        'LOGIN',
        'LOG_LEVEL',
        'MAIL',
        'MY_DATABASE',
        'PAGE_SIZE',
        'PART',
        'PORTS',
        'PORTS_ALLOWED',
        'POST',
        'SECRETS',
        'TASKS',
        'TEMPLATE_ID',
        'TEST_DATASET',
        'X',
    ],
)
def test_a_name_of_the_projects_own_is_taken(load, name):
    assert getattr(load(f'{name} = 1'), name) == 1


def test_settings_of_strangers_subsystems_are_known(load, refused, monkeypatch):
    found = plugins.found
    offers = {'CACHES': (), 'SEARCHING': ()}
    for module in ('colibris.conf.checks', 'colibris.conf.store'):
        monkeypatch.setattr(f'{module}.found', lambda group: offers if group == 'colibris.subsystems' else found(group))
    error = refused('SEARCHNIG = 1')
    assert 'did you mean SEARCHING' in str(error)
    settings = load("CACHES = {'backend': 'x'}")
    assert settings.is_set('CACHES')
    assert settings.SEARCHING is None


@pytest.mark.parametrize(('name', 'alias'), [('TASK_QUEUE', 'TASKQUEUE'), ('TEMPLATE', 'TEMPLATES')])
def test_both_spellings_of_a_setting_are_refused(refused, name, alias):
    error = refused(f"{name} = {{'backend': 'x'}}\n{alias} = {{'backend': 'x'}}")
    assert str(error) == (
        f'{name} (settings.py) and {alias} (settings.py) are two spellings of one setting: keep {name}'
    )


def test_what_is_set_by_itself_cannot_be_set(refused):
    assert 'PROJECT_PACKAGE_DIR (settings.py) is set by Colibris itself' in str(refused("PROJECT_PACKAGE_DIR = '/x'"))


def test_what_is_set_by_itself_may_be_set_to_what_it_is(load):
    load('import pathlib\nPROJECT_PACKAGE_NAME = __package__\nPROJECT_PACKAGE_DIR = pathlib.Path(__file__).parent')


@pytest.mark.parametrize(
    ('given', 'told'),
    [
        ("PORT = '80'", 'not a string'),
        ("API_DOCS_PATH = 'docs'", 'not another string'),
        ('LISTEN = []', 'not an empty list'),
        ("LISTEN = ['::1', 5]", 'not a list of a string, 5'),
        ("CACHE = {'backend': 'x', 3: 4}", 'not a dictionary with the key 3, which is no string'),
    ],
)
def test_what_is_given_is_told_as_what_it_is(refused, given, told):
    assert str(refused(given)).endswith(told)
