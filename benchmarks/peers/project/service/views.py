"""What is done with a request."""

from typing import Any

from colibris.persist import Q
from colibris.views import APIView, ListCreateModelView, RetrieveModelView
from service import models, schemas


class HelloView(APIView):
    async def get(self) -> Any:
        return {'hello': 'world'}


class OrdersView(APIView):
    body_schema_class = schemas.OrderSchema

    async def post(self) -> Any:
        return await self.get_validated_body()


class UsersView(ListCreateModelView):
    model = models.User
    body_schema_class = schemas.UserSchema


class UserView(RetrieveModelView):
    """A user, for whom no others exist."""

    model = models.User
    body_schema_class = schemas.UserSchema
    authentication_required = True

    def access(self, account: Any) -> Q:
        return Q(id=account.id)
