"""The board's tables, as SQLAlchemy Core describes them.

Agents are referred to by their text id, not by row: a deleted agent's tasks keep saying who made them.
AUTOINCREMENT keeps SQLite from giving a deleted row's id to the next one.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
)

metadata = MetaData()


def _table(name: str, *parts: Column[object] | Index) -> Table:
    key = Column("id", Integer, primary_key=True, autoincrement=True)
    return Table(name, metadata, key, *parts, sqlite_autoincrement=True)


def _child_of(table: str, name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, Integer, ForeignKey(f"{table}.id", ondelete="CASCADE"), nullable=nullable, index=True)


def _text(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, String, nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime, nullable=nullable)


agents = _table(
    "agents",
    Column("agent_id", String, nullable=False, unique=True),
    _text("role"),
    _text("level"),
    _text("connection_type", nullable=True),
    _time("last_seen"),
)

epics = _table("epics", _text("name"), _text("description"), _time("created_at"))

features = _table("features", _child_of("epics", "epic_id"), _text("name"), _text("description"))

tasks = _table(
    "tasks",
    _child_of("features", "feature_id"),
    _text("title"),
    _text("description"),
    _text("created_by"),
    _text("target_role"),
    _text("difficulty"),
    _text("complexity"),
    _text("branch"),
    _text("status"),
    _text("locked_by", nullable=True),
    _time("locked_at", nullable=True),
    _text("notes", nullable=True),
    _text("comments", nullable=True),
    _time("created_at"),
    _time("updated_at"),
)
# `next` stays a few index seeks however many tasks there are: one per status and difficulty, for qa one.
Index(
    "tasks_by_role",
    tasks.c.status,
    tasks.c.target_role,
    tasks.c.difficulty,
    tasks.c.locked_by,
    tasks.c.created_at,
)
Index("tasks_by_status", tasks.c.status, tasks.c.locked_by, tasks.c.created_at)
Index("tasks_by_age", tasks.c.created_at)
Index("tasks_locked", tasks.c.locked_by, sqlite_where=tasks.c.locked_by.is_not(None))

changelog = _table(
    "changelog",
    _child_of("tasks", "task_id"),
    _text("old_status"),
    _text("new_status"),
    _text("changed_by"),
    _text("notes", nullable=True),
    Column("changed_at", DateTime, nullable=False, index=True),
)

documents = _table(
    "documents",
    _text("doc_type"),
    _text("author_id"),
    _text("title"),
    _text("content"),
    Column("meta_data", JSON(none_as_null=True)),
    Column("created_at", DateTime, nullable=False, index=True),
    Column("updated_at", DateTime, nullable=False, index=True),
    _time("expires_at", nullable=True),
)

mentions = _table(
    "mentions",
    _child_of("documents", "document_id", nullable=True),
    _child_of("tasks", "task_id", nullable=True),
    Column("mentioned_agent_id", String, nullable=False, index=True),
    _text("created_by"),
    Column("is_read", Boolean, nullable=False, default=False),
    _time("created_at"),
)

services = _table(
    "services",
    Column("service_name", String, nullable=False, unique=True),
    _text("owner_agent_id"),
    _text("ping_url"),
    # Text, which the answer's model turns back: the API takes any whole number, SQLite's have 64 bits.
    _text("port", nullable=True),
    _text("status"),
    _time("last_heartbeat", nullable=True),
    _time("last_ping_at", nullable=True),
    Column("last_ping_success", Boolean),
    Column("meta_data", JSON(none_as_null=True)),
    _time("updated_at"),
)
