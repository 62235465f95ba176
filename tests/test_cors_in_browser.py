"""Pages of other origins in a real browser: what they may read, and what not."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from demo import make_demo, serve_demo
from playwright.sync_api import Browser

FETCH = """
async (base) => {
    const found = {};
    const ask = async (name, path, options) => {
        try {
            const answer = await fetch(base + path, {credentials: 'include', ...options});
            found[name] = [answer.status, answer.headers.get('X-Request-ID') !== null];
        } catch (error) {
            found[name] = 'denied';
        }
    };
    const json = {'Content-Type': 'application/json'};
    await ask('get', '/health/live');
    await ask('not found', '/nothing');
    await ask('preflight', '/health/live', {method: 'DELETE', headers: {...json, 'X-CSRF-Token': 'x'}, body: '{}'});
    await ask('other header', '/health/live', {headers: {'X-Other': 'x'}});
    return found;
}
"""


class Page(BaseHTTPRequestHandler):
    """An empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header('Content-Type', 'text/html')
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope='module')
def origins() -> Iterator[tuple[str, str]]:
    """Serve pages at two origins."""
    servers = [ThreadingHTTPServer(('127.0.0.1', 0), Page) for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    first, second = (f'http://localhost:{server.server_port}' for server in servers)
    yield first, second
    for server in servers:
        server.shutdown()


@pytest.fixture(scope='module')
def service(tmp_path_factory: pytest.TempPathFactory, origins: tuple[str, str]) -> Iterator[str]:
    """Serve a project that lets the first origin in."""
    folder = make_demo(tmp_path_factory.mktemp('cors'))
    with (folder / 'demo' / 'settings.py').open('a') as settings:
        settings.write(
            f"\nREQUEST_IDS = True\nCORS = {{'origins': [{origins[0]!r}], 'credentials': True, "
            "'expose': ['X-Request-ID']}\n"
        )
    with serve_demo(folder) as base:
        yield f'http://localhost:{urlsplit(base).port}'


def fetched(browser: Browser, page_url: str, service: str) -> Any:
    page = browser.new_page()
    page.goto(page_url)
    return page.evaluate(FETCH, service)


def test_a_page_that_is_let_in_reads_answers_and_refusals(
    browser: Browser, origins: tuple[str, str], service: str
) -> None:
    assert fetched(browser, origins[0], service) == {
        'get': [200, True],
        'not found': [404, True],
        'preflight': [405, True],
        'other header': 'denied',
    }


def test_a_page_of_any_other_origin_reads_nothing(browser: Browser, origins: tuple[str, str], service: str) -> None:
    assert set(fetched(browser, origins[1], service).values()) == {'denied'}
