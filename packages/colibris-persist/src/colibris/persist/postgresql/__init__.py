"""PostgreSQL, through asyncpg."""

from colibris.persist.postgresql.backend import PostgreSQLBackend

__all__ = ['PostgreSQLBackend']
