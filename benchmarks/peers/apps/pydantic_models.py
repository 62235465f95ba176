"""The bodies and answers as pydantic models."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import common
from pydantic import BaseModel, ConfigDict, Field

Email = Annotated[str, Field(pattern=common.EMAIL_PATTERN, max_length=200)]
Name = Annotated[str, Field(min_length=1, max_length=100)]


class Customer(BaseModel):
    email: Email
    name: Name


class Item(BaseModel):
    sku: Annotated[str, Field(max_length=32)]
    quantity: Annotated[int, Field(ge=1)]
    unit_price: Decimal


class Order(BaseModel):
    customer: Customer
    items: list[Item]
    created_at: datetime
    tags: list[str]


class UserIn(BaseModel):
    name: Name
    email: Email
    role: Annotated[str, Field(max_length=20)]
    is_active: bool = True
    score: float = 0.0


class UserOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    email: str
    role: str
    is_active: bool
    created_at: datetime
    score: float


class Page(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    results: list[UserOut]
    count: int
    pages: int
    page: int
    page_size: int
