import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from colibris.commands.program import manage

if __name__ == '__main__':
    manage('taskfaults')
