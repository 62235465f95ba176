"""What TRACING may say."""

import pytest

from colibris.app import create_app
from colibris.conf import ImproperlyConfigured
from colibris.tracing import options


@pytest.mark.parametrize('value', [None, False])
def test_by_itself_it_is_off(project, value):
    project(settings=f'TRACING = {value}')
    assert options.options() is None


@pytest.mark.parametrize(
    ('endpoint', 'url'),
    [
        ('http://collector:4318', 'http://collector:4318/v1/traces'),
        ('http://collector:4318/', 'http://collector:4318/v1/traces'),
        ('https://example.com/otlp/traces', 'https://example.com/otlp/traces'),
        (None, None),
    ],
)
def test_an_endpoint_without_a_path_has_the_usual_one(project, endpoint, url):
    project(settings=f'TRACING = { ({"endpoint": endpoint})!r}')
    assert options.options().url == url


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        ({'url': 'http://x'}, "has no key 'url'; there are endpoint, "),
        ({'endpoint': 'collector:4318'}, 'endpoint must be the URL of a collector'),
        ({'endpoint': 'http://x:port'}, 'endpoint must be the URL of a collector'),
        ({'sample': 2}, 'sample must be a number from 0 to 1, not 2'),
        ({'sample': True}, 'sample must be a number'),
        ({'service_name': ''}, 'service_name must be a name'),
        ({'headers': {'x': 'a\nb'}}, 'headers must be a dictionary'),
        ({'timeout': 0}, 'timeout must be a number of seconds above 0'),
    ],
)
def test_what_cannot_be_meant_is_refused_at_the_start(project, value, message):
    project(settings=f'TRACING = {value!r}')
    with pytest.raises(ImproperlyConfigured, match=message):
        create_app()


@pytest.mark.parametrize('missing', options.MODULES)
def test_a_missing_module_is_named(project, monkeypatch, missing):
    find = options.find_spec
    monkeypatch.setattr(options, 'find_spec', lambda name: None if name == missing else find(name))
    project(settings='TRACING = True')
    with pytest.raises(ImproperlyConfigured, match=rf"'{missing}': pip install 'colibris\[tracing\]'"):
        create_app()


def test_a_protocol_that_is_not_spoken_is_refused(project, monkeypatch):
    monkeypatch.setenv('OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc')
    project(settings='TRACING = True')
    with pytest.raises(ImproperlyConfigured, match="OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'"):
        create_app()
