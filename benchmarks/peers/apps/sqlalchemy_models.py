"""The table as a model of SQLAlchemy."""

from datetime import datetime

import common
from sqlalchemy import DateTime, Double, String
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = 'users'

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    email: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(20))
    is_active: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=common.now)
    score: Mapped[float] = mapped_column(Double)


engine = create_async_engine(common.SQLALCHEMY_URL, pool_size=common.POOL, max_overflow=0)
Session = async_sessionmaker(engine, expire_on_commit=False)
