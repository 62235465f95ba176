"""The bodies and answers as msgspec structs."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import common
from msgspec import Meta, Struct

Email = Annotated[str, Meta(pattern=common.EMAIL_PATTERN, max_length=200)]
Name = Annotated[str, Meta(min_length=1, max_length=100)]


class Customer(Struct):
    email: Email
    name: Name


class Item(Struct):
    sku: Annotated[str, Meta(max_length=32)]
    quantity: Annotated[int, Meta(ge=1)]
    unit_price: Decimal


class Order(Struct):
    customer: Customer
    items: list[Item]
    created_at: datetime
    tags: list[str]


class UserIn(Struct):
    name: Name
    email: Email
    role: Annotated[str, Meta(max_length=20)]
    is_active: bool = True
    score: float = 0.0


class UserOut(Struct):
    id: int
    name: str
    email: str
    role: str
    is_active: bool
    created_at: datetime
    score: float


class Page(Struct):
    results: list[UserOut]
    count: int
    pages: int
    page: int
    page_size: int


def from_object(user: Any) -> UserOut:
    return UserOut(user.id, user.name, user.email, user.role, user.is_active, user.created_at, user.score)


def from_record(record: Any) -> UserOut:
    return UserOut(*record)


def as_dict(struct: Struct) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}
