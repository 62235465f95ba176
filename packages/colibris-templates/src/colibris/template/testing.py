"""The contract of template backends, as tests. A plug-in's tests subclass the suite:

from colibris.template.testing import TemplateBackendSuite

class TestMyBackend(TemplateBackendSuite):
    greeting = 'Hello ${name}!'
    including = '<%include file="greeting.txt"/>'
    broken = '% if'

    @pytest.fixture
    def make(self):
        return MyBackend
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from colibris.template import TemplateError, TemplateNotFound
from colibris.template.base import TemplateBackend

Make = Callable[..., TemplateBackend]


class TemplateBackendSuite:
    """Every documented behaviour of a template backend; the class attributes are in the backend's own language."""

    #: A greeting of the variable ``name``.
    greeting: ClassVar[str]
    #: What includes ``greeting.txt``.
    including: ClassVar[str]
    #: What is no valid template, in its first line.
    broken: ClassVar[str]

    @pytest.fixture
    def make(self) -> Make:
        """Return what makes a backend of options."""
        raise NotImplementedError('define the fixture "make" in your subclass')

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / 'greeting.txt').write_text(self.greeting)
        (tmp_path / 'greeting.html').write_text(self.greeting)
        (tmp_path / 'including.txt').write_text(self.including)
        (tmp_path / 'broken.txt').write_text(f'\n\n{self.broken}')
        return tmp_path

    def test_a_file_is_rendered(self, make: Make, folder: Path) -> None:
        assert make(paths=[folder]).render('greeting.txt', {'name': 'you'}) == 'Hello you!'

    def test_a_string_is_rendered(self, make: Make) -> None:
        assert make().render_string(self.greeting, {'name': 'you'}) == 'Hello you!'

    def test_a_template_includes_another(self, make: Make, folder: Path) -> None:
        assert make(paths=[folder]).render('including.txt', {'name': 'you'}).strip() == 'Hello you!'

    def test_the_first_path_wins(self, make: Make, folder: Path) -> None:
        first = folder / 'first'
        first.mkdir()
        (first / 'greeting.txt').write_text('first')
        backend = make(paths=[first, folder])
        assert backend.render('greeting.txt', {}) == 'first'
        assert backend.render('greeting.html', {'name': 'you'}) == 'Hello you!'

    def test_markup_is_escaped_and_text_is_not(self, make: Make, folder: Path) -> None:
        backend = make(paths=[folder])
        assert '<script>' not in backend.render('greeting.html', {'name': '<script>'})
        assert '<script>' in backend.render('greeting.txt', {'name': '<script>'})
        assert '<script>' not in backend.render_string(self.greeting, {'name': '<script>'})

    def test_a_missing_template_is_named(self, make: Make, folder: Path) -> None:
        with pytest.raises(TemplateNotFound, match=r'nothing\.txt'):
            make(paths=[folder]).render('nothing.txt', {})

    @pytest.mark.parametrize('name', ['../secret.txt', '/etc/passwd', 'a/../../secret.txt'])
    def test_a_name_does_not_lead_out_of_the_paths(self, make: Make, folder: Path, name: str) -> None:
        inner = folder / 'inner'
        inner.mkdir()
        (folder / 'secret.txt').write_text('secret')
        with pytest.raises(TemplateNotFound):
            make(paths=[inner]).render(name, {})

    def test_a_fault_is_told_with_file_and_line(self, make: Make, folder: Path) -> None:
        with pytest.raises(TemplateError, match=r'broken\.txt, line 3') as raised:
            make(paths=[folder]).render('broken.txt', {})
        assert raised.value.line == 3

    def test_an_undefined_variable_is_an_error_in_debug(self, make: Make, folder: Path) -> None:
        with pytest.raises(TemplateError, match=r'greeting\.txt, line 1.*name'):
            make(paths=[folder], debug=True).render('greeting.txt', {})

    def test_an_undefined_variable_is_logged_otherwise(
        self, make: Make, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            assert make(paths=[folder]).render('greeting.txt', {}) == 'Hello !'
        assert 'name' in caplog.text

    def test_changed_files_are_noticed_in_debug(self, make: Make, folder: Path) -> None:
        import os

        backend: Any = make(paths=[folder], debug=True)
        assert backend.render('greeting.txt', {'name': 'you'}) == 'Hello you!'
        (folder / 'greeting.txt').write_text('changed')
        os.utime(folder / 'greeting.txt', (1, 1))
        assert backend.render('greeting.txt', {'name': 'you'}) == 'changed'
