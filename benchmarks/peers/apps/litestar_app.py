"""Litestar, with msgspec's structs, as its manual shows it."""

from typing import Annotated, Any

import common
import store
import tokens
from litestar import Litestar, Request, get, post
from litestar.di import Provide
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.params import Parameter
from structs import Order, Page, UserIn, UserOut, as_dict, from_object, from_record

shown = from_record if store.AS_RECORDS else from_object


@get('/hello')
async def hello() -> dict[str, str]:
    return {'hello': 'world'}


@post('/orders')
async def create_order(data: Order) -> Order:
    return data


@get('/users')
async def list_users(
    page: Annotated[int, Parameter(ge=1)] = 1, page_size: Annotated[int, Parameter(ge=1, le=100)] = 25
) -> Page:
    rows, count = await store.list_users(page_size, (page - 1) * page_size)
    return Page([shown(row) for row in rows], count, common.pages(count, page_size), page, page_size)


async def current_user(request: Request) -> UserOut:
    try:
        account = tokens.account_id(request.headers.get('authorization'))
    except tokens.Unauthorized:
        raise NotAuthorizedException from None
    user = await store.get_user(account)
    if user is None:
        raise NotAuthorizedException
    return shown(user)


@get('/users/{id:int}', dependencies={'user': Provide(current_user)})
async def get_user(id: int, user: Any) -> UserOut:
    if user.id != id:
        raise PermissionDeniedException
    return user


@post('/users')
async def create_user(data: UserIn) -> UserOut:
    return shown(await store.create_user(as_dict(data)))


app = Litestar(
    [hello, create_order, list_users, get_user, create_user],
    on_startup=[store.open],
    on_shutdown=[store.close],
    openapi_config=None,
    logging_config=None,
    debug=False,
)
