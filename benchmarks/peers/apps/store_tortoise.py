"""The table by Tortoise."""

from typing import Any

from tortoise import Tortoise
from tortoise_models import CONFIG, User


async def open(*_: object) -> None:
    await Tortoise.init(config=CONFIG, _enable_global_fallback=True)


async def close(*_: object) -> None:
    await Tortoise.close_connections()


async def list_users(limit: int, offset: int) -> tuple[list[Any], int]:
    count = await User.all().count()
    return await User.all().order_by('id').limit(limit).offset(offset), count


async def get_user(number: int) -> Any:
    return await User.get_or_none(id=number)


async def create_user(data: dict[str, Any]) -> Any:
    return await User.create(**data)
