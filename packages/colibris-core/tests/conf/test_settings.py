"""The settings of a process: defaults, sources, overriding."""

import sys

import pytest

from colibris import conf
from colibris.conf import ImproperlyConfigured, settings
from colibris.conf.known import KNOWN

DEFAULTS = {
    'API_DOCS_PATH': '/api/docs',
    'AUTHENTICATION': None,
    'AUTHORIZATION': None,
    'CACHE': None,
    'DATABASE': None,
    'DEBUG': False,
    'EMAIL': None,
    'LISTEN': '0.0.0.0',
    'LOGGING_OVERRIDES': {},
    'MAX_REQUEST_BODY_SIZE': 10 * 1024 * 1024,
    'MIDDLEWARE': [
        'colibris.middleware.handle_errors_json',
        'colibris.middleware.handle_auth',
        'colibris.middleware.handle_schema_validation',
    ],
    'PORT': 8888,
    'SECRET_KEY': None,
    'TASK_QUEUE': None,
    'TEMPLATE': None,
    'TEST_DATABASE': None,
}


@pytest.mark.parametrize('name', DEFAULTS)
def test_an_empty_settings_module_leaves_the_defaults(load, name):
    load()
    assert getattr(settings, name) == DEFAULTS[name]
    assert settings.source(name) == 'default'
    assert not settings.is_set(name)


def test_every_default_is_of_its_own_kind():
    assert all(setting.kind.accepts(setting.make_default()) for setting in KNOWN.values())


def test_the_projects_package_is_known_by_itself(load, tmp_path):
    load()
    assert settings.PROJECT_PACKAGE_NAME.startswith('shop')
    assert str(tmp_path / 'root' / settings.PROJECT_PACKAGE_NAME) == settings.PROJECT_PACKAGE_DIR


def test_defaults_that_are_changed_stay_changed_in_one_project_only(load, package):
    load().MIDDLEWARE.append('one.more')
    settings.reset()
    assert 'one.more' not in conf.setup(package()).MIDDLEWARE


def test_settings_of_the_project_itself_are_allowed(load):
    load('PAGE_SIZE = 50')
    assert settings.PAGE_SIZE == 50
    assert settings.source('PAGE_SIZE') == 'settings.py'
    assert settings.is_set('PAGE_SIZE')


def test_names_that_are_not_in_upper_case_are_no_settings(load):
    load('page_size = 50\n_HIDDEN = 1\n')
    with pytest.raises(AttributeError):
        _ = settings.page_size
    assert '_HIDDEN' not in [name for name, _, _ in settings.items()]


def test_an_unknown_setting_names_the_closest(load):
    load('PAGE_SIZE = 50')
    with pytest.raises(AttributeError, match=r'there is no setting PAGE_SIZ; did you mean PAGE_SIZE\?'):
        _ = settings.PAGE_SIZ


def test_none_is_not_set(load):
    load('CACHE = None')
    assert not settings.is_set('CACHE')
    assert settings.source('CACHE') == 'settings.py'


@pytest.mark.parametrize(
    ('spelling', 'name'), [('TASKQUEUE', 'TASK_QUEUE'), ('TEMPLATES', 'TEMPLATE'), ('TEMPLATE', 'TEMPLATE')]
)
def test_either_spelling_gives_the_setting(load, spelling, name):
    load(f"{spelling} = {{'backend': 'x'}}")
    assert getattr(settings, name) == getattr(settings, spelling) == {'backend': 'x'}
    assert settings.is_set(name)
    assert settings.source(name) == 'settings.py'


def test_loading_the_same_package_again_does_nothing(load):
    first = load('VALUES = []')
    values = first.VALUES
    assert conf.setup(first.PROJECT_PACKAGE_NAME).VALUES is values
    assert conf.setup().VALUES is values


def test_another_package_is_refused(load, package):
    load()
    with pytest.raises(ImproperlyConfigured, match=r'one process runs one project'):
        conf.setup(package())


def test_reading_before_loading_is_an_error():
    with pytest.raises(ImproperlyConfigured, match=r'DEBUG is read before the settings are loaded'):
        _ = settings.DEBUG
    assert not settings.loaded


def test_reset_runs_the_settings_module_again(load, tmp_path):
    name = load('PORT = 1').PROJECT_PACKAGE_NAME
    (tmp_path / 'root' / name / 'settings.py').write_text('PORT = 22\n')
    settings.reset()
    assert conf.setup(name).PORT == 22


def test_settings_cannot_be_assigned(load):
    load()
    with pytest.raises(AttributeError, match=r'settings.override'):
        settings.PORT = 1


def test_the_representation_shows_no_value(load):
    load("SECRET_KEY = 'hush'")
    assert 'hush' not in repr(settings)


class TestOverride:
    def test_values_hold_within_the_block(self, load):
        load('PORT = 1')
        with settings.override(PORT=2, CACHE={'backend': 'x'}):
            assert (settings.PORT, settings.CACHE) == (2, {'backend': 'x'})
            assert settings.source('PORT') == 'override'
            assert settings.is_set('CACHE')
        assert (settings.PORT, settings.CACHE) == (1, None)
        assert settings.source('PORT') == 'settings.py'

    def test_values_return_after_an_error(self, load):
        load('PORT = 1')
        with pytest.raises(ZeroDivisionError), settings.override(PORT=2):
            raise ZeroDivisionError
        assert settings.PORT == 1

    def test_blocks_nest(self, load):
        load('PAGE_SIZE = 3')
        with settings.override(PORT=2), settings.override(DEBUG=True):
            assert (settings.PORT, settings.DEBUG, settings.PAGE_SIZE) == (2, True, 3)

    def test_other_settings_have_their_defaults_without_a_project(self):
        with settings.override(PORT=2):
            assert (settings.PORT, settings.DEBUG) == (2, False)
        with pytest.raises(ImproperlyConfigured):
            _ = settings.PORT

    def test_wrong_types_are_refused(self, load):
        load()
        with pytest.raises(ImproperlyConfigured, match=r'PORT'), settings.override(PORT='x'):
            pass

    def test_the_other_spelling_is_the_same_setting(self, load):
        load("TASK_QUEUE = {'backend': 'x'}")
        with settings.override(TASKQUEUE=None):
            assert settings.TASK_QUEUE is None

    def test_logging_is_merged_anew(self, load):
        load("LOGGING_OVERRIDES = {'root': {'level': 'ERROR'}}")
        with settings.override(LOGGING_OVERRIDES={}):
            assert settings.LOGGING['root']['level'] == 'INFO'
        assert settings.LOGGING['root']['level'] == 'ERROR'


class TestProject:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

    def test_the_project_of_the_current_folder_is_found_from_below(self, package, tmp_path, monkeypatch):
        name = package('PORT = 1')
        root = tmp_path / 'root'
        (root / 'pyproject.toml').write_text(f'[tool.colibris]\npackage = "{name}"\n')
        monkeypatch.chdir(root / name)
        sys.path.remove(str(root))
        assert conf.setup().PORT == 1
        assert str(root) in sys.path

    def test_no_project_says_how_to_make_one_known(self, tmp_path):
        with pytest.raises(ImproperlyConfigured, match=r'is not in a project: .*\[tool.colibris\] package'):
            conf.setup()

    @pytest.mark.parametrize('table', ['[tool.colibris]', '[tool.colibris]\npackage = 3', '[tool]\ncolibris = "shop"'])
    def test_a_table_without_a_package_is_refused(self, tmp_path, table):
        (tmp_path / 'pyproject.toml').write_text(table)
        with pytest.raises(ImproperlyConfigured, match=r'pyproject.toml: .* must name'):
            conf.setup()

    def test_a_file_that_is_no_toml_is_refused(self, tmp_path):
        (tmp_path / 'pyproject.toml').write_text('[tool')
        with pytest.raises(ImproperlyConfigured, match=r'pyproject.toml cannot be read'):
            conf.setup()


class TestImport:
    def test_a_package_that_is_not_there(self):
        with pytest.raises(ImproperlyConfigured, match=r"no package 'nowhere_to_be_found'"):
            conf.setup('nowhere_to_be_found')

    def test_a_package_without_settings(self, package, tmp_path):
        name = package()
        (tmp_path / 'root' / name / 'settings.py').unlink()
        with pytest.raises(ImproperlyConfigured, match=r'has no settings.py'):
            conf.setup(name)

    @pytest.mark.parametrize(
        ('source', 'told'),
        [
            ('\n\nPORT = UNKNOWN', "settings.py, line 3: NameError: name 'UNKNOWN' is not defined"),
            ('\nimport nowhere_to_be_found', 'settings.py, line 2: ModuleNotFoundError'),
            ('PORT = (', 'settings.py, line 1: SyntaxError'),
            ('raise SystemExit(3)', 'settings.py, line 1: SystemExit: 3'),
        ],
    )
    def test_an_error_in_the_module_is_told_with_its_line(self, refused, source, told):
        error = refused(source)
        assert told in str(error)
        assert error.__cause__ is not None

    def test_an_error_in_what_it_imports_is_told_with_both_lines(self, refused):
        error = refused('\nfrom . import helpers\n', helpers='\n\n\n1 / 0')
        assert 'settings.py, line 2: ZeroDivisionError' in str(error)
        assert 'helpers.py, line 4' in str(error)

    def test_an_error_of_the_package_itself_is_told_with_its_line(self, package, tmp_path):
        name = package()
        (tmp_path / 'root' / name / '__init__.py').write_text('\n1 / 0')
        with pytest.raises(ImproperlyConfigured, match=r'__init__.py, line 2: ZeroDivisionError'):
            conf.setup(name)
