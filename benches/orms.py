"""Peers that map rows to objects, each set up for speed as its documentation recommends.

All keep one connection open, in autocommit, and prepare statements where they can: SQLAlchemy,
Django and peewee by psycopg with `prepare_threshold` 0, Piccolo by asyncpg, which always does.
What they answer with is their own kind of object; it is made into a `Flight` to be compared only.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

from psycopg.conninfo import conninfo_to_dict

from entities import Flight
from measure import Contender, Timed
from world import World, installed

COLUMNS = ("id", "carrier", "origin", "dest", "dep_delay")


class Peer(NamedTuple):
    """How a peer reads a flight by its key, and runs a query for it again.

    Attributes:
        get: Reads one object.
        query: Runs a query by key and answers with a list.
        wait: Runs what they answer with, if they are coroutine functions.
    """

    get: Callable[[int], Any]
    query: Callable[[int], Any]
    wait: Callable[[Any], Any] | None = None


NAMES = ("sqlalchemy core", "sqlalchemy orm", "django", "peewee", "piccolo")


def peers(world: World) -> Mapping[str, Peer]:
    """Those that are installed."""
    makers: dict[str, tuple[str, Callable[[World], Peer]]] = {
        "sqlalchemy core": ("sqlalchemy", _sqlalchemy_core),
        "sqlalchemy orm": ("sqlalchemy", _sqlalchemy_orm),
        "django": ("django", _django),
        "peewee": ("peewee", _peewee),
        "piccolo": ("piccolo", _piccolo),
    }
    return {name: make(world) for name, (package, make) in makers.items() if installed(package)}


def getting(world: World, keys: Sequence[int]) -> dict[str, Contender]:
    """Contenders that read one object by each key."""
    return {name: _timed(peer, peer.get, keys, _flight) for name, peer in peers(world).items()}


def querying(world: World, keys: Sequence[int]) -> dict[str, Contender]:
    """Contenders that run the same query with each key."""
    return {
        name: _timed(peer, peer.query, keys, lambda found: [_flight(row) for row in found])
        for name, peer in peers(world).items()
    }


def _flight(found: Any) -> Flight:
    return Flight(*(getattr(found, column) for column in COLUMNS))


def _timed(
    peer: Peer, read: Callable[[int], Any], keys: Sequence[int], made: Callable[[Any], object]
) -> Contender:
    last = keys[-1]
    if peer.wait is None:
        return Timed(partial(_each, read, keys), len(keys), lambda: made(read(last)))
    wait = peer.wait
    return Timed(lambda: wait(_await_each(read, keys)), len(keys), lambda: made(wait(read(last))))


def _each(read: Callable[[int], Any], keys: Sequence[int]) -> None:
    for key in keys:
        read(key)


async def _await_each(read: Callable[[int], Any], keys: Sequence[int]) -> None:
    for key in keys:
        await read(key)


@cache
def _sqlalchemy_core(world: World) -> Peer:
    """One statement with a bound parameter, whose compilation is cached."""
    sqlalchemy: Any = importlib.import_module("sqlalchemy")
    connection = world.sqlalchemy
    table = sqlalchemy.table("flights", *map(sqlalchemy.column, COLUMNS))
    statement = sqlalchemy.select(table).where(table.c.id == sqlalchemy.bindparam("id"))

    def query(key: int) -> list[Any]:
        found: list[Any] = connection.execute(statement, {"id": key}).all()
        return found

    return Peer(lambda key: connection.execute(statement, {"id": key}).one(), query)


@cache
def _sqlalchemy_orm(world: World) -> Peer:
    """One session; nothing keeps its objects, so each `get` asks the database."""
    sqlalchemy: Any = importlib.import_module("sqlalchemy")
    orm: Any = importlib.import_module("sqlalchemy.orm")
    base: Any = orm.declarative_base()
    columns: dict[str, Any] = {
        "id": sqlalchemy.Column(sqlalchemy.BigInteger, primary_key=True),
        "dep_delay": sqlalchemy.Column(sqlalchemy.BigInteger),
        **{name: sqlalchemy.Column(sqlalchemy.Text) for name in ("carrier", "origin", "dest")},
    }
    model: Any = type("OrmFlight", (base,), {"__tablename__": "flights", **columns})
    session = orm.Session(bind=world.sqlalchemy)
    world.at_close(session.close)
    statement = sqlalchemy.select(model).where(model.id == sqlalchemy.bindparam("id"))

    def query(key: int) -> list[Any]:
        found: list[Any] = session.execute(statement, {"id": key}).scalars().all()
        return found

    return Peer(partial(session.get, model), query)


@cache
def _django(world: World) -> Peer:
    """Parameters bound by the server, and a connection that is kept."""
    django: Any = importlib.import_module("django")
    settings: Any = importlib.import_module("django.conf").settings
    parts = conninfo_to_dict(world.postgres.url)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts["dbname"],
        "USER": parts["user"],
        "PASSWORD": parts["password"],
        "HOST": parts["host"],
        "PORT": parts["port"],
        "CONN_MAX_AGE": None,
        "OPTIONS": {"server_side_binding": True, "prepare_threshold": 0},
    }
    settings.configure(DATABASES={"default": database}, INSTALLED_APPS=[], USE_TZ=True)
    django.setup()
    models: Any = importlib.import_module("django.db.models")
    connections: Any = importlib.import_module("django.db").connections
    meta = type("Meta", (), {"app_label": "benches", "db_table": "flights", "managed": False})
    fields: dict[str, Any] = {
        "id": models.BigIntegerField(primary_key=True),
        "dep_delay": models.BigIntegerField(null=True),
        **{name: models.TextField() for name in ("carrier", "origin", "dest")},
    }
    model: Any = type(
        "DjangoFlight", (models.Model,), {"__module__": __name__, "Meta": meta, **fields}
    )
    world.at_close(connections.close_all)
    return Peer(
        lambda key: model.objects.get(pk=key), lambda key: list(model.objects.filter(pk=key))
    )


@cache
def _peewee(world: World) -> Peer:
    """By psycopg 3, whose driver prepares statements."""
    peewee: Any = importlib.import_module("peewee")
    postgres: Any = importlib.import_module("playhouse.postgres_ext")
    database = postgres.Psycopg3Database(world.postgres.url, prepare_threshold=0)
    world.at_close(database.close)
    meta = type("Meta", (), {"database": database, "table_name": "flights"})
    fields: dict[str, Any] = {
        "id": peewee.BigIntegerField(primary_key=True),
        "dep_delay": peewee.BigIntegerField(null=True),
        **{name: peewee.TextField() for name in ("carrier", "origin", "dest")},
    }
    model: Any = type("PeeweeFlight", (peewee.Model,), {"Meta": meta, **fields})
    database.connect()
    return Peer(model.get_by_id, lambda key: list(model.select().where(model.id == key)))


@cache
def _piccolo(world: World) -> Peer:
    """By asyncpg and a pool, in one event loop; the time in the loop counts."""
    columns: Any = importlib.import_module("piccolo.columns")
    engines: Any = importlib.import_module("piccolo.engine.postgres")
    table: Any = importlib.import_module("piccolo.table").Table
    engine = engines.PostgresEngine(config={"dsn": world.postgres.url}, log_queries=False)
    fields: dict[str, Any] = {
        "id": columns.BigInt(primary_key=True),
        "dep_delay": columns.BigInt(null=True),
        **{name: columns.Text() for name in ("carrier", "origin", "dest")},
    }
    model: Any = _piccolo_table(table, engine, fields)
    world.wait(engine.start_connection_pool(min_size=1, max_size=1))
    world.at_close(lambda: world.wait(engine.close_connection_pool()))

    async def get(key: int) -> Any:
        return await model.objects().get(model.id == key)

    async def query(key: int) -> Any:
        return await model.objects().where(model.id == key)

    return Peer(get, query, world.wait)


def _piccolo_table(base: Any, engine: Any, fields: Mapping[str, Any]) -> Any:
    """The table's class: what it is called and where it lies are arguments of the class."""
    return type(base)("PiccoloFlight", (base,), dict(fields), tablename="flights", db=engine)
