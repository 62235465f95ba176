"""Run a benchmark by its name: ``python -m benchmarks cache``."""

import runpy
import sys
from pathlib import Path

_FOLDER = Path(__file__).parent
NAMES = sorted(path.stem for path in _FOLDER.glob('[a-z]*.py')) + sorted(
    path.parent.name for path in _FOLDER.glob('*/__main__.py')
)


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        sys.exit(f'usage: python -m benchmarks {{{",".join(NAMES)}}} [...]')
    name = sys.argv.pop(1)
    runpy.run_module(f'benchmarks.{name}', run_name='__main__', alter_sys=True)


if __name__ == '__main__':
    main()
