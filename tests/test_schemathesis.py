"""What bad input gets: the demo service is asked by schemathesis, which reads the service's own document."""

import re
from pathlib import Path

from demo import CURRENT, make_demo, make_key, serve_demo

# Each phase in which schemathesis makes requests by itself; "examples" would only repeat what the document gives.
PHASES = ('coverage', 'fuzzing', 'stateful')


def test_the_service_answers_as_its_document_says_whatever_it_is_sent(tmp_path: Path) -> None:
    folder = make_demo(tmp_path)
    with serve_demo(folder) as address:
        output = CURRENT.run(
            'schemathesis',
            'run',
            f'{address}/api/docs/openapi.json',
            f'--header=X-API-Key: {make_key(folder)}',
            '--checks=all',
            f'--phases={",".join(PHASES)}',
            '--mode=all',
            '--max-examples=100',
            '--seed=1',
            '--request-timeout=10',
            '--generation-database=none',
            '--no-color',
            cwd=tmp_path,
        ).stdout

    generated, passed = map(int, re.search(r'(\d+) generated, (\d+) passed', output).groups())
    assert generated == passed > 800, output
    assert re.search(r'Selected: (\d+)/\1\b', output), output
    assert 'Traceback' not in (folder / 'server.log').read_text()
