"""Jinja2: the contract, extensions, translations, and templates in packages."""

import gettext
import sys

import pytest
from aiohttp import web

from colibris import shortcuts, subsystems, template
from colibris.conf import settings
from colibris.middleware import handle_errors_json
from colibris.routes import add_routes
from colibris.template.jinja2 import Jinja2Backend
from colibris.template.languages import negotiate
from colibris.template.subsystem import subsystem
from colibris.template.testing import TemplateBackendSuite


class TestJinja2Backend(TemplateBackendSuite):
    greeting = 'Hello {{ name }}!'
    including = '{% include "greeting.txt" %}'
    broken = '{% if %}'

    @pytest.fixture
    def make(self):
        return Jinja2Backend


def test_an_error_in_an_expression_names_file_and_line(tmp_path):
    (tmp_path / 'a.txt').write_text('\n{% for n in numbers %}\n{{ 1 / n }}{% endfor %}')
    with pytest.raises(template.TemplateError, match=r'a\.txt, line 3: ZeroDivisionError') as raised:
        Jinja2Backend(paths=[tmp_path]).render('a.txt', {'numbers': [1, 0]})
    assert (raised.value.file, raised.value.line) == (str(tmp_path / 'a.txt'), 3)
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


def test_extensions_are_used():
    backend = Jinja2Backend(extensions=['jinja2.ext.loopcontrols'])
    assert backend.render_string('{% for n in [1, 2] %}{{ n }}{% break %}{% endfor %}', {}) == '1'


def test_a_suffix_of_the_engine_does_not_hide_markup(tmp_path):
    (tmp_path / 'a.html.j2').write_text('{{ a }}')
    assert Jinja2Backend(paths=[tmp_path]).render('a.html.j2', {'a': '<'}) == '&lt;'


def test_templates_come_from_packages(tmp_path, monkeypatch):
    folder = tmp_path / 'blogpackage' / 'templates'
    folder.mkdir(parents=True)
    (tmp_path / 'blogpackage' / '__init__.py').write_text('')
    (folder / 'post.txt').write_text('a post')
    monkeypatch.syspath_prepend(tmp_path)
    assert Jinja2Backend(packages=['blogpackage']).render('post.txt', {}) == 'a post'
    sys.modules.pop('blogpackage', None)


def test_a_package_without_templates_is_named():
    with pytest.raises(ValueError, match=r"packages: 'nothing_here'"):
        Jinja2Backend(packages=['nothing_here'])


def test_compiled_templates_are_kept(tmp_path):
    (tmp_path / 'templates').mkdir()
    (tmp_path / 'templates' / 'a.txt').write_text('text')
    (tmp_path / 'cache').mkdir()
    Jinja2Backend(paths=[tmp_path / 'templates'], bytecode_cache=tmp_path / 'cache').render('a.txt', {})
    assert len(list((tmp_path / 'cache').iterdir())) == 1


@pytest.mark.parametrize(
    ('header', 'language'),
    [
        ('', 'en'),
        ('de', 'de'),
        ('DE-ch', 'de'),
        ('pt', 'pt-BR'),
        ('pt-PT', 'pt-BR'),
        ('fr, de;q=0.5', 'de'),
        ('de;q=0.5, pt-BR;q=0.9', 'pt-BR'),
        ('de;q=0, pt', 'pt-BR'),
        ('en;q=0', 'de'),
        ('en;q=0, *;q=0.5', 'de'),
        ('de-DE-1996;q=0.8, en;q=0.1', 'de'),
        ('fr;level=1;q=0.9, de;q=0.95', 'de'),
        ('en;q=0, de;q=0, pt-BR;q=0', 'en'),
        ('fr, *', 'en'),
        ('de;q=x, ;;, q', 'en'),
        (',' * 100_000, 'en'),
    ],
)
def test_the_language_is_negotiated(header, language):
    assert negotiate(header, ['en', 'de', 'pt-BR']) == language


def write_catalogue(folder, messages):
    """Write a compiled catalogue, in the format of GNU gettext's .mo files."""
    import struct

    items = sorted({'': 'Content-Type: text/plain; charset=UTF-8\n', **messages}.items())
    keys, values, offsets = b'', b'', []
    for key, value in items:
        key_bytes, value_bytes = key.encode(), value.encode()
        offsets.append((len(key_bytes), len(keys), len(value_bytes), len(values)))
        keys += key_bytes + b'\0'
        values += value_bytes + b'\0'
    start = 28 + 16 * len(items)
    data = struct.pack('<7I', 0x950412DE, 0, len(items), 28, 28 + 8 * len(items), 0, start)
    data += b''.join(struct.pack('<2I', length, start + offset) for length, offset, _, _ in offsets)
    data += b''.join(struct.pack('<2I', length, start + len(keys) + offset) for _, _, length, offset in offsets)
    folder.mkdir(parents=True)
    (folder / 'messages.mo').write_bytes(data + keys + values)


@pytest.fixture
async def opened(tmp_path):
    """Open the templates of a project that is translated into German."""
    folder = tmp_path / 'shop' / 'templates'
    folder.mkdir(parents=True)
    (folder / 'index.html').write_text('{% trans %}Hello{% endtrans %} {{ var1 }}')
    write_catalogue(tmp_path / 'shop' / 'locale' / 'de' / 'LC_MESSAGES', {'Hello': 'Hallo'})
    assert gettext.find('messages', tmp_path / 'shop' / 'locale', ['de'])
    setting = {'backend': 'jinja2', 'extensions': [], 'translations': 'gettext', 'languages': ['en', 'de']}
    with settings.override(TEMPLATE=setting, PROJECT_PACKAGE_DIR=str(tmp_path / 'shop')):
        await subsystem.open()
        with subsystems.adopt([subsystem]):
            yield
        await subsystem.close()


@pytest.mark.usefixtures('opened')
async def test_a_view_answers_in_the_language_of_the_request(aiohttp_client):
    def index(request):
        return shortcuts.html_response_template('index.html', var1='<you>')

    app = web.Application(middlewares=[handle_errors_json])
    add_routes(app.router, [('/', index)], 'ROUTES')
    client = await aiohttp_client(app)
    german = await client.get('/', headers={'Accept-Language': 'de-CH, en;q=0.5'})
    assert (await german.text(), german.content_type) == ('Hallo &lt;you&gt;', 'text/html')
    assert (german.headers['Content-Language'], german.headers['Vary']) == ('de', 'Accept-Language')
    assert await (await client.get('/')).text() == 'Hello &lt;you&gt;'


@pytest.mark.usefixtures('opened')
async def test_a_language_can_be_chosen_for_a_block():
    with template.use_language('de'):
        assert template.render('index.html', var1='du') == 'Hallo du'
    assert template.render('index.html', var1='you') == 'Hello you'


@pytest.mark.usefixtures('opened')
async def test_the_examples_of_the_documentation():
    text = 'Variable var1 is {{ var1 }} and var2 is {{ var2 }}.'
    assert template.render_string(text, var1='value1', var2=16) == 'Variable var1 is value1 and var2 is 16.'
    response = shortcuts.html_response_template('index.html', status=404, var1='value1')
    assert (response.status, response.text) == (404, 'Hello value1')


def test_a_missing_catalogue_is_an_error_at_start_up(tmp_path):
    with pytest.raises(ValueError, match=r"no catalogue messages\.mo for 'fr'"):
        Jinja2Backend(translations='gettext', languages=['en', 'fr'], locale_dir=tmp_path)


def test_translations_that_cannot_be_imported_are_named():
    with pytest.raises(ValueError, match=r"translations: 'no\.such\.thing'"):
        Jinja2Backend(translations='no.such.thing')


def test_without_a_setting_templates_say_what_to_set():
    with settings.override(), pytest.raises(subsystems.NotConfigured, match=r'set TEMPLATE in settings\.py'):
        template.render('a.txt')


@pytest.mark.parametrize('backend', ['jinja2', 'colibris.template.jinja2.Jinja2Backend'])
def test_the_backend_is_found_by_alias_and_by_path(backend):
    with settings.override(TEMPLATE={'backend': backend}):
        assert type(subsystem.configure()) is Jinja2Backend


def test_the_longest_part_of_a_language_decides():
    assert negotiate('zh-Hant-TW', ['en', 'zh', 'zh-Hant']) == 'zh-Hant'
    assert negotiate('zh-Hans-CN', ['en', 'zh', 'zh-Hant']) == 'zh'


def test_an_undefined_variable_is_logged_with_file_and_line(tmp_path, caplog):
    (tmp_path / 'outer.txt').write_text('\n{% include "inner.txt" %}')
    (tmp_path / 'inner.txt').write_text('\n\n{{ nothing }}')
    backend = Jinja2Backend(paths=[tmp_path])
    assert backend.render('outer.txt', {}).strip() == ''
    assert f'{tmp_path / "inner.txt"}, line 3: ' in caplog.text
    assert "'nothing' is undefined" in caplog.text
    backend.render_string('\n{{ other }}', {})
    assert "line 2: Template variable warning: 'other'" in caplog.text


def test_a_missing_template_that_is_included_is_told_with_file_and_line(tmp_path):
    (tmp_path / 'a.txt').write_text('\n{% include "gone.txt" %}')
    with pytest.raises(template.TemplateNotFound, match=r"a\.txt, line 2: there is no template 'gone\.txt'") as raised:
        Jinja2Backend(paths=[tmp_path]).render('a.txt', {})
    assert raised.value.name == 'gone.txt'


def test_text_can_be_left_as_it_is():
    assert Jinja2Backend().render_string('{{ a }}', {'a': '<'}, escape=False) == '<'
    assert Jinja2Backend().render_string('{{ a }}', {'a': '<'}) == '&lt;'


def test_an_error_in_a_string_names_the_line():
    with pytest.raises(template.TemplateError, match=r'^<string>, line 2: ZeroDivisionError'):
        Jinja2Backend().render_string('\n{{ 1 / 0 }}', {})


@pytest.mark.parametrize('option', ['paths', 'packages', 'extensions', 'languages'])
def test_a_string_in_place_of_a_list_is_refused(option):
    with pytest.raises(TypeError, match=rf"{option} must be a list, not str: {option}=\['de'\]"):
        Jinja2Backend(translations='gettext', **{option: 'de'})


def test_an_extension_that_cannot_be_imported_is_named():
    with pytest.raises(ValueError, match=r"extensions: 'no\.such\.Extension'"):
        Jinja2Backend(extensions=['no.such.Extension'])


def test_a_folder_for_compiled_templates_is_made(tmp_path):
    (tmp_path / 'a.txt').write_text('text')
    folder = tmp_path / 'made' / 'cache'
    assert Jinja2Backend(paths=[tmp_path], bytecode_cache=folder).render('a.txt', {}) == 'text'
    assert list(folder.iterdir())
    with pytest.raises(ValueError, match='bytecode_cache'):
        Jinja2Backend(bytecode_cache=tmp_path / 'a.txt')


def test_templates_are_rendered_where_nothing_can_be_written(tmp_path, caplog):
    (tmp_path / 'a.txt').write_text('text')
    backend = Jinja2Backend(paths=[tmp_path], bytecode_cache=tmp_path / 'cache')
    (tmp_path / 'cache').rmdir()
    assert backend.render('a.txt', {}) == 'text'
    assert 'is not kept' in caplog.text


def test_a_folder_that_is_not_there_is_told(tmp_path, caplog):
    setting = {'backend': 'jinja2', 'paths': ['nowhere']}
    with settings.override(TEMPLATE=setting, PROJECT_PACKAGE_DIR=str(tmp_path / 'shop')):
        subsystem.configure()
    assert f'there is no folder {tmp_path / "nowhere"}' in caplog.text
