"""The table by SQLAlchemy."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy_models import Session, User, engine


async def open(*_: object) -> None:
    """Connections are opened as they are needed."""


async def close(*_: object) -> None:
    await engine.dispose()


async def list_users(limit: int, offset: int) -> tuple[Sequence[Any], int]:
    async with Session() as session:
        count = await session.scalar(select(func.count()).select_from(User))
        rows = await session.scalars(select(User).order_by(User.id).limit(limit).offset(offset))
        return rows.all(), count or 0


async def get_user(number: int) -> Any:
    async with Session() as session:
        return await session.get(User, number)


async def create_user(data: dict[str, Any]) -> Any:
    async with Session() as session:
        user = User(**data)
        session.add(user)
        await session.commit()
        return user
