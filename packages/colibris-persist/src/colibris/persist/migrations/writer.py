"""The text of migration files. The same changes give the same bytes: nothing in it depends on time or place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

_HEAD = '''"""{title}

{about}
"""

from colibris.persist.migrations import sql_for
from tortoise import BaseDBAsyncClient
'''

_BODY = """

async def upgrade(db: BaseDBAsyncClient) -> str:
    return sql_for(db, UPGRADE)


async def downgrade(db: BaseDBAsyncClient) -> str:
    return sql_for(db, DOWNGRADE)

"""

_EMPTY = '''"""{title}

A migration of your own. It runs in a transaction, as all do (MySQL cannot take back changes of tables, but can those of
rows). `db` is Tortoise's client of the database: ask it with SQL, and take the tables as they are at this point.
Models show the tables of the newest migration, so do not use them here. For instance:

    rows = await db.execute_query_dict('SELECT id, name FROM item')
    for row in rows:
        name = row['name'].title()
        if db.capabilities.dialect == 'postgres':
            await db.execute_query('UPDATE item SET name = $1 WHERE id = $2', [name, row['id']])
        elif db.capabilities.dialect == 'mysql':
            await db.execute_query('UPDATE item SET name = %s WHERE id = %s', [name, row['id']])
        else:
            await db.execute_query('UPDATE item SET name = ? WHERE id = ?', [name, row['id']])

What upgrade or downgrade returns is run as SQL after it. Say RUN_IN_TRANSACTION = False to run without a transaction.
"""

from tortoise import BaseDBAsyncClient


async def upgrade(db: BaseDBAsyncClient) -> str:
    return ''


async def downgrade(db: BaseDBAsyncClient) -> str:
    return ''

'''

_STATE = """
# The models at this point, from which the next migration is made.
MODELS_STATE = (
    {state}
)
"""


def migration(
    name: str,
    summary: Sequence[str],
    upgrade: Mapping[str, Sequence[str]],
    downgrade: Mapping[str, Sequence[str]],
    state: str,
) -> str:
    """Return the text of a migration file with these statements by dialect."""
    about = '\n'.join(f'- {_plain(line)}' for line in summary)
    return (
        _HEAD.format(title=_title(name), about=about)
        + _statements('UPGRADE', upgrade)
        + _statements('DOWNGRADE', downgrade)
        + _BODY
        + _STATE.format(state=state)
    )


def empty(name: str, state: str) -> str:
    """Return the text of a migration file for Python code."""
    return _EMPTY.format(title=_title(name)) + _STATE.format(state=state)


def _title(name: str) -> str:
    return f'Migration {name}.'


def _plain(text: str) -> str:
    return text.replace('\\', '\\\\').replace('"""', '\\"\\"\\"')


def _statements(name: str, statements: Mapping[str, Iterable[str]]) -> str:
    lines = [f'\n{name} = {{']
    for dialect, items in statements.items():
        quoted = [f'        {_quoted(item)},' for item in items]
        lines += [f"    '{dialect}': [", *quoted, '    ],'] if quoted else [f"    '{dialect}': [],"]
    return '\n'.join([*lines, '}', ''])


def _quoted(statement: str) -> str:
    """Return *statement* as a Python literal that can be read: over several lines where it has them."""
    if '\n' not in statement:
        return repr(statement)
    text = statement.replace('\\', '\\\\').replace("'''", "\\'\\'\\'")
    if text.endswith("'"):
        text = text[:-1] + "\\'"
    return f"'''{text}'''"
