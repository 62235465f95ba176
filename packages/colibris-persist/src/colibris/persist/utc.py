"""Points in time, as databases take them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar

V = TypeVar('V', list[Any], list[Any] | None)


def in_utc(values: V) -> V:
    """Return *values* with each point in time moved to UTC."""
    if values and any(isinstance(value, datetime) and value.tzinfo not in (None, UTC) for value in values):
        return [
            value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo is not None else value
            for value in values
        ]
    return values


class InUTC:
    """Hands on points in time in UTC: SQLite compares them as text, and asyncmy drops the zone."""

    async def execute_insert(self, query: str, values: list[Any]) -> Any:
        return await super().execute_insert(query, in_utc(values))  # type: ignore[misc]

    async def execute_query(self, query: str, values: list[Any] | None = None) -> Any:
        return await super().execute_query(query, in_utc(values))  # type: ignore[misc]

    async def execute_query_dict(self, query: str, values: list[Any] | None = None) -> Any:
        return await super().execute_query_dict(query, in_utc(values))  # type: ignore[misc]

    async def fetch(self, query: str, values: list[Any]) -> Any:
        """Run one statement; return its rows as the driver gives them, each of which has its values by position."""
        return await super().fetch(query, in_utc(values))  # type: ignore[misc]

    async def execute_many(self, query: str, values: list[list[Any]]) -> None:
        await super().execute_many(query, [in_utc(row) for row in values])  # type: ignore[misc]
