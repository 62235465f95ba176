"""MySQL and MariaDB, through asyncmy."""

from colibris.persist.mysql.backend import MySQLBackend

__all__ = ['MySQLBackend']
