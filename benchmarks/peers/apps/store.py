"""The table, by the layer that the peer is run with; each has ``open``, ``close`` and three functions of users.

Rows are objects of the ORM, or Records of asyncpg; `AS_RECORDS` tells.
"""

import os

_LAYER = os.environ.get('BENCHMARK_STORE', 'sqlalchemy')
AS_RECORDS = _LAYER == 'asyncpg'

if _LAYER == 'asyncpg':
    from store_asyncpg import close, create_user, get_user, list_users, open
elif _LAYER == 'tortoise':
    from store_tortoise import close, create_user, get_user, list_users, open
else:
    from store_sqlalchemy import close, create_user, get_user, list_users, open

__all__ = ['AS_RECORDS', 'close', 'create_user', 'get_user', 'list_users', 'open']
