"""The resource of the load test on FastAPI, with SQLAlchemy 2 (asynchronous) and asyncpg.

It follows the documentation of FastAPI and SQLAlchemy: Pydantic models, one session per request,
and dependencies for the session and the user. It has no synchronization, batches, permissions or
events.
"""

import hashlib
import os
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from pydantic import BaseModel
from sqlalchemy import BigInteger, delete, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

URL = os.environ["PEERS_URL"].replace("postgresql://", "postgresql+asyncpg://", 1)


class Base(DeclarativeBase):
    """Base class of the tables."""


class Mushroom(Base):
    """A record of one user."""

    __tablename__ = "fastapi_mushrooms"

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(index=True)
    last_modified: Mapped[int] = mapped_column(BigInteger, index=True)
    name: Mapped[str]
    size: Mapped[int]
    edible: Mapped[bool]
    note: Mapped[str]


class MushroomIn(BaseModel):
    """The fields of a new record."""

    name: str
    size: int = 0
    edible: bool = False
    note: str = ""


class MushroomChange(BaseModel):
    """The fields of a change, all optional."""

    name: str | None = None
    size: int | None = None
    edible: bool | None = None
    note: str | None = None


class MushroomOut(MushroomIn):
    """A record in a response."""

    model_config = {"from_attributes": True}

    id: str
    last_modified: int


class NewBody(BaseModel):
    """The body of POST."""

    data: MushroomIn


class ChangeBody(BaseModel):
    """The body of PATCH."""

    data: MushroomChange


class Record(BaseModel):
    """The response with a record."""

    data: MushroomOut


class Records(BaseModel):
    """The response with a list."""

    data: list[MushroomOut]


engine = create_async_engine(URL, pool_size=10)
sessions = async_sessionmaker(engine, expire_on_commit=False)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Create the table at start-up."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()


async def open_session() -> AsyncIterator[AsyncSession]:
    """Open the session of a request, which is committed at its end."""
    async with sessions() as session, session.begin():
        yield session


def read_user(credentials: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())]) -> str:
    """Return the id of the user."""
    pair = f"{credentials.username}:{credentials.password}"
    return hashlib.sha256(pair.encode()).hexdigest()


Session = Annotated[AsyncSession, Depends(open_session)]
User = Annotated[str, Depends(read_user)]

app = FastAPI(lifespan=lifespan)


def now() -> int:
    """Return the time in milliseconds."""
    return time.time_ns() // 1_000_000


async def find(session: AsyncSession, user: str, record_id: str) -> Mushroom:
    """Return a record of the user, or respond with 404."""
    query = select(Mushroom).where(Mushroom.id == record_id, Mushroom.user_id == user)
    mushroom = (await session.scalars(query)).one_or_none()
    if mushroom is None:
        raise HTTPException(status_code=404)
    return mushroom


@app.get("/v1/")
async def get_hello() -> dict[str, Any]:
    """Describe the service."""
    return {"project_name": "peers", "url": "/v1/"}


@app.get("/v1/mushrooms", response_model=Records)
async def get_list(session: Session, user: User, _limit: int = 20) -> Any:
    """List records, the newest first."""
    query = select(Mushroom).where(Mushroom.user_id == user)
    query = query.order_by(Mushroom.last_modified.desc()).limit(_limit)
    return {"data": (await session.scalars(query)).all()}


@app.post("/v1/mushrooms", response_model=Record, status_code=201)
async def post(body: NewBody, session: Session, user: User) -> Any:
    """Create a record."""
    mushroom = Mushroom(
        id=str(uuid.uuid4()), user_id=user, last_modified=now(), **body.data.model_dump()
    )
    session.add(mushroom)
    await session.flush()
    return {"data": mushroom}


@app.delete("/v1/mushrooms")
async def delete_list(session: Session, user: User) -> dict[str, Any]:
    """Delete the records of the user."""
    await session.execute(delete(Mushroom).where(Mushroom.user_id == user))
    return {"data": []}


@app.get("/v1/mushrooms/{record_id}", response_model=Record)
async def get_record(record_id: str, session: Session, user: User) -> Any:
    """Return a record."""
    return {"data": await find(session, user, record_id)}


@app.patch("/v1/mushrooms/{record_id}", response_model=Record)
async def patch(record_id: str, body: ChangeBody, session: Session, user: User) -> Any:
    """Change a record."""
    mushroom = await find(session, user, record_id)
    for name, value in body.data.model_dump(exclude_unset=True).items():
        setattr(mushroom, name, value)
    mushroom.last_modified = now()
    return {"data": mushroom}


@app.delete("/v1/mushrooms/{record_id}")
async def delete_record(record_id: str, session: Session, user: User) -> dict[str, Any]:
    """Delete a record."""
    await session.delete(await find(session, user, record_id))
    return {"data": {"id": record_id, "deleted": True}}
