#!/usr/bin/env python3
"""The command line of the service."""

import sys
from pathlib import Path


def main() -> None:
    from colibris.commands import manage

    manage('growing')


if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).resolve().parent.parent)  # the root of the project, not its package
    main()
