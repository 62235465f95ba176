"""The page of the API's documentation, in a browser."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from demo import make_demo, make_key, serve_demo
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page


@dataclass
class Seen:
    """A page, with what it asked for and what it complained about."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on('request', lambda request: self.requests.append(request.url))
        self.page.on('pageerror', lambda error: self.complaints.append(str(error)))
        self.page.on('console', self._hear)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ('error', 'warning'):
            self.complaints.append(message.text)

    def operation(self, operation_id: str) -> Locator:
        """Open an operation of the page and return it."""
        block = self.page.locator(f'.opblock[id$="-{operation_id}"]')
        block.locator('.opblock-summary-control').click()
        return block

    def authorize(self, key: str) -> None:
        """Give the page an API key by its button "Authorize"."""
        self.page.locator('.scheme-container .btn.authorize').click()
        dialog = self.page.locator('.dialog-ux')
        scheme = dialog.locator('.auth-container').filter(has_text='X-API-Key')
        scheme.locator('input').fill(key)
        scheme.locator('button.authorize').click()
        dialog.locator('button.btn-done').first.click()


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_demo(tmp_path_factory.mktemp('page'))


@pytest.fixture(scope='module')
def key(folder: Path) -> str:
    return make_key(folder)


@pytest.fixture(scope='module')
def service(folder: Path) -> Iterator[str]:
    with serve_demo(folder) as address:
        yield address


@pytest.fixture
def seen(browser: Browser) -> Iterator[Seen]:
    with browser.new_context(viewport={'width': 1200, 'height': 1400}) as context:
        yield Seen(context.new_page())


def get_json(url: str, key: str = '') -> dict:
    with urlopen(Request(url, headers={'X-API-Key': key} if key else {}), timeout=10) as response:
        return json.load(response)


def try_out(block: Locator) -> str:
    """Press "Execute" and return the status that the page shows."""
    block.locator('button.execute').click()
    status = block.locator('.live-responses-table .response-col_status').last
    status.wait_for()
    return status.inner_text().split()[0]


def test_the_page_shows_the_operations_of_the_document(service: str, seen: Seen) -> None:
    seen.page.goto(service)
    seen.page.wait_for_selector('.opblock')

    assert urlsplit(seen.page.url).path == '/api/docs'
    document = get_json(f'{service}/api/docs/openapi.json')
    documented = {(method.upper(), path) for path, operations in document['paths'].items() for method in operations}
    shown = {
        (
            block.locator('.opblock-summary-method').inner_text(),
            block.locator('.opblock-summary-path').get_attribute('data-path'),
        )
        for block in seen.page.locator('.opblock').all()
    }
    assert shown == documented
    assert {('GET', '/notes'), ('POST', '/notes'), ('DELETE', '/notes/{id}')} <= shown
    assert document['info']['title'] in seen.page.locator('.info .title').inner_text()


def test_try_it_out_gets_a_real_answer(service: str, key: str, seen: Seen) -> None:
    seen.page.goto(f'{service}/api/docs')
    seen.authorize(key)
    block = seen.operation('notes_create')
    block.locator('button.try-out__btn').click()
    block.locator('textarea.body-param__text').fill('{"title": "from the page"}')

    assert try_out(block) == '201'
    assert '"title": "from the page"' in block.locator('.live-responses-table .highlight-code').first.inner_text()
    found = get_json(f'{service}/notes?search=from+the+page', key)
    assert [note['title'] for note in found['results']] == ['from the page']


@pytest.mark.parametrize('given', [None, 'key_wrong'])
def test_try_it_out_without_a_good_key_is_refused(service: str, seen: Seen, given: str | None) -> None:
    seen.page.goto(f'{service}/api/docs')
    if given is not None:
        seen.authorize(given)
    block = seen.operation('notes_list')
    block.locator('button.try-out__btn').click()

    assert try_out(block) == '401'


def test_try_it_out_of_a_list_sends_the_parameters(service: str, key: str, seen: Seen) -> None:
    seen.page.goto(f'{service}/api/docs')
    seen.authorize(key)
    block = seen.operation('notes_list')
    block.locator('button.try-out__btn').click()
    block.locator('tr[data-param-name="search"] input').fill('nothing like it')

    assert try_out(block) == '200'
    assert f'{service}/notes?search=nothing%20like%20it' in [url.partition('&')[0] for url in seen.requests]


def test_nothing_is_asked_of_another_host_and_nothing_is_amiss(service: str, seen: Seen) -> None:
    seen.page.goto(f'{service}/api/docs/')
    for operation_id in ('notes_list', 'notes_create', 'notes_retrieve'):
        seen.operation(operation_id).locator('.responses-wrapper').wait_for()
    for model in seen.page.locator('.models .json-schema-2020-12-accordion').all():
        model.click()
    seen.page.wait_for_load_state('networkidle')

    assert {url for url in seen.requests if not url.startswith((f'{service}/', 'data:'))} == set()
    assert len(seen.requests) >= 6
    assert seen.complaints == []


class StrippingProxy(BaseHTTPRequestHandler):
    """Serves a service under the prefix ``/shop``, as a reverse proxy does."""

    target: str

    def do_GET(self) -> None:
        if not self.path.startswith('/shop/'):
            self.send_error(404)
            return
        length = int(self.headers.get('Content-Length', 0))
        request = Request(
            self.target + self.path.removeprefix('/shop'),
            data=self.rfile.read(length) if length else None,
            headers={name: self.headers[name] for name in ('Content-Type', 'X-API-Key') if name in self.headers},
            method=self.command,
        )
        try:
            response = urlopen(request, timeout=10)
        except HTTPError as error:
            response = error
        with response:
            body = response.read()
            self.send_response(response.status)
            for name in ('Content-Type', 'Content-Security-Policy', 'ETag'):
                if name in response.headers:
                    self.send_header(name, response.headers[name])
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def proxy(service: str) -> Iterator[str]:
    handler = type('Proxy', (StrippingProxy,), {'target': service})
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_address[1]}/shop'
        server.shutdown()


@pytest.mark.parametrize('path', ['/api/docs', '/api/docs/'])
def test_the_page_works_below_the_prefix_of_a_proxy(proxy: str, key: str, seen: Seen, path: str) -> None:
    seen.page.goto(proxy + path)
    seen.authorize(key)
    block = seen.operation('notes_create')
    block.locator('button.try-out__btn').click()
    block.locator('textarea.body-param__text').fill('{"title": "through the proxy"}')

    assert try_out(block) == '201'
    assert f'{proxy}/notes' in seen.requests
    assert seen.complaints == []
