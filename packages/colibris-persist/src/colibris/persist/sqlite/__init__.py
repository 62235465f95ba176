"""SQLite: a database in a file, with no server to install."""

from colibris.persist.sqlite.backend import SQLiteBackend

__all__ = ['SQLiteBackend']
