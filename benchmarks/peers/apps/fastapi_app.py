"""FastAPI, as its manual shows it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import common
import store
import tokens
from fastapi import Depends, FastAPI, Header, HTTPException, Query
from pydantic_models import Order, Page, UserIn, UserOut


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    await store.open()
    yield
    await store.close()


app = FastAPI(lifespan=lifespan, openapi_url=None)


def shown(row: Any) -> Any:
    return UserOut(**row) if store.AS_RECORDS else row


@app.get('/hello')
async def hello() -> dict[str, str]:
    return {'hello': 'world'}


@app.post('/orders', status_code=201, response_model=Order)
async def create_order(order: Order) -> Any:
    return order


@app.get('/users', response_model=Page)
async def list_users(page: Annotated[int, Query(ge=1)] = 1, page_size: Annotated[int, Query(ge=1, le=100)] = 25) -> Any:
    rows, count = await store.list_users(page_size, (page - 1) * page_size)
    return {
        'results': [shown(row) for row in rows],
        'count': count,
        'pages': common.pages(count, page_size),
        'page': page,
        'page_size': page_size,
    }


async def current_user(authorization: Annotated[str | None, Header()] = None) -> Any:
    try:
        account = tokens.account_id(authorization)
    except tokens.Unauthorized:
        raise HTTPException(401) from None
    user = await store.get_user(account)
    if user is None:
        raise HTTPException(401)
    return shown(user)


@app.get('/users/{id}', response_model=UserOut)
async def get_user(id: int, user: Annotated[Any, Depends(current_user)]) -> Any:
    if user.id != id:
        raise HTTPException(403)
    return user


@app.post('/users', status_code=201, response_model=UserOut)
async def create_user(data: UserIn) -> Any:
    return shown(await store.create_user(data.model_dump()))
