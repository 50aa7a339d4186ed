"""SQLAlchemy reflects the table, joins it and refers to it."""

import os

import sqlalchemy as sa

schema = os.environ["SCHEMA"]
engine = sa.create_engine(os.environ["DATABASE_URL"].replace("postgres://", "postgresql+psycopg://", 1))
meta = sa.MetaData()
users = sa.Table("users_sync", meta, schema=schema, autoload_with=engine)
kinds = {column.name: str(column.type) for column in users.columns}
assert kinds == {
    "raw_json": "JSONB",
    "id": "TEXT",
    "name": "TEXT",
    "email": "TEXT",
    "created_at": "TIMESTAMP",
    "updated_at": "TIMESTAMP",
    "deleted_at": "TIMESTAMP",
}, kinds
assert [column.name for column in users.primary_key] == ["id"]
assert users.c.created_at.type.timezone
assert not users.c.raw_json.nullable and users.c.name.nullable

todos = sa.Table(
    "todos",
    meta,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("user_id", sa.ForeignKey(users.c.id), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
)
with engine.begin() as connection:
    todos.create(connection)
    connection.execute(todos.insert(), {"id": 1, "user_id": os.environ["USER_ID"], "title": "x"})
    joined = sa.select(users.c.name, users.c.raw_json).join(todos).where(users.c.deleted_at.is_(None))
    ((name, raw),) = connection.execute(joined).all()
    assert name == "Ada Lovelace" and isinstance(raw, dict), (name, raw)
    todos.drop(connection)
print("sqlalchemy: sees, joins, refers")
