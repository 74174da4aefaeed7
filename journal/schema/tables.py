"""Names for the tables and their columns in queries, the views that people read, and triggers for older writers' rows.

What a table is (its keys, constraints and indexes) stands in the steps (`0001_initial.sql` and later ones), and there
alone: these names make nothing. A test compares them with the columns of a migrated file.

Times are ISO 8601 text in UTC, which sorts by time. Payloads, bodies and receipts are JSON text.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Text,
    column,
    literal_column,
    table,
)

from journal.evaluations import trained_in_sql
from journal.kinds import CHECKPOINT, CONSOLE, EPOCH, MILESTONES, listed
from journal.records import OPEN_STATES
from journal.schema.neutral import number

WHOLE = BigInteger().with_variant(Integer(), "sqlite")
"""A whole number of eight bytes; PostgreSQL's INTEGER has four."""

schema_migrations = table(
    "schema_migrations",
    column("version", WHOLE),
    column("name", Text),
    column("applied_at", Text),
)

# About the journal itself.
facts = table(
    "facts",
    column("name", Text),
    column("value", Text),
)

runs = table(
    "runs",
    column("id", Text),
    column("project", Text),
    column("name", Text),
    column("save_dir", Text),
    column("created_at", Text),
)

RUN_NUMBER: ColumnElement[int] = literal_column("runs.rowid", WHOLE)
"""Orders runs by when they began; their dates may not, because clocks are set."""

sessions = table(
    "sessions",
    column("id", WHOLE),
    column("run_id", Text),
    column("pid", WHOLE),
    column("host", Text),
    column("boot_id", Text),
    column("started_at", Text),
    column("heartbeat_at", Text),
    column("ended_at", Text),
    column("outcome", Text),
    column("uuid", Text),
    column("generation", WHOLE),  # 1 + the highest that was known of the run
    column("parent", Text),  # uuid of the session that it continues
    column("purpose", Text),  # why it wrote, where it is no training's
    column("flushed_seq", WHOLE),  # up to this number its events are on the disk, as far as was known at heartbeat_at
)

# Ids are never used again (AUTOINCREMENT), so a cursor stays right after delivered rows were pruned.
events = table(
    "events",
    column("id", WHOLE),
    column("run_id", Text),
    column("session_id", WHOLE),
    column("kind", Text),
    column("key", Text),
    column("payload", Text),
    column("created_at", Text),
    column("seq", WHOLE),
)

blobs = table(
    "blobs",
    column("sha256", Text),
    column("size", WHOLE),
    column("state", Text),
    column("created_at", Text),
)

destinations = table(
    "destinations",
    column("id", WHOLE),
    column("platform", Text),
    column("base_url", Text),
)

targets = table(
    "targets",
    column("run_id", Text),
    column("destination_id", WHOLE),
    column("state", Text),
    column("reason", Text),
    column("ids", Text),
    column("planned_through", WHOLE),
    column("stage", WHOLE),
    column("last_upload_at", Text),
    column("dropped_at", Text),  # when a person gave it up
)

deliveries = table(
    "deliveries",
    column("id", WHOLE),
    column("run_id", Text),
    column("destination_id", WHOLE),
    column("chunk_id", Text),
    column("kind", Text),
    column("lane", Text),
    column("stage", WHOLE),
    column("first_event", WHOLE),
    column("last_event", WHOLE),
    column("body", Text),
    column("sha256", Text),
    column("role", Text),
    column("state", Text),
    column("attempts", WHOLE),
    column("next_attempt_at", Text),
    column("held", WHOLE),  # 1: the platform itself asked for the wait (Retry-After)
    column("owner", Text),
    column("lease_until", Text),
    column("fence", WHOLE),
    column("last_error", Text),
    column("receipt", Text),
    column("created_at", Text),
    column("settled_at", Text),
    column("span", Text),  # what the chunk id was made from; NULL where it was made from ids
)

attempts = table(
    "attempts",
    column("id", WHOLE),
    column("delivery_id", WHOLE),
    column("number", WHOLE),
    column("result", Text),
    column("error", Text),
    column("at", Text),
)

signals = table(
    "signals",
    column("id", WHOLE),
    column("run_id", Text),
    column("session_id", WHOLE),
    column("destination_id", WHOLE),
    column("kind", Text),
    column("detail", Text),
    column("created_at", Text),
)

# How far each fallback file was taken in, so that taking it in twice changes nothing.
fallback_imports = table(
    "fallback_imports",
    column("name", Text),
    column("session_id", WHOLE),
    column("lines", WHOLE),
    column("updated_at", Text),
)

# What reading a platform back has shown of a run, the last time: `journal.outbox.verifications`.
verifications = table(
    "verifications",
    column("run_id", Text),
    column("destination_id", WHOLE),
    column("verified_at", Text),
    column("is_deep", WHOLE),
    column("last_event", WHOLE),
    column("last_delivery", WHOLE),
    column("proven", WHOLE),
    column("different", WHOLE),
    column("missing", WHOLE),
    column("unreadable", WHOLE),
    column("findings", Text),
)

TABLES = (
    schema_migrations,
    facts,
    runs,
    sessions,
    events,
    blobs,
    destinations,
    targets,
    deliveries,
    attempts,
    signals,
    fallback_imports,
    verifications,
)


def is_open(rows: FromClause) -> ColumnElement[bool]:
    """Return the condition for deliveries, or an alias of them, that are not settled.

    The states are constants in the SQL: SQLite takes a partial index only for a condition that it can read when it
    plans, and it plans before values are bound.
    """
    return rows.c.state.in_([literal_column(f"'{state}'") for state in OPEN_STATES])


def rank(event: str, session: str) -> str:
    """Return the SQL for an event's place in its run: the later of two has the higher one, whenever they arrived.

    Args:
        event: Alias of the event.
        session: Alias of its session.
    """
    return f"(({session}.generation << 40) + {event}.seq)"


RANK = rank("e", "s")


def run_order(event: FromClause, session: FromClause) -> ColumnElement[int]:
    """Return `rank` as an expression of Core, of tables or aliases of them."""
    return session.c.generation.op("<<")(literal_column("40")).self_group() + event.c.seq


def epochs(run: str) -> str:
    """Return the SQL for how many epochs a run has trained.

    Args:
        run: Alias of the run.
    """
    return trained_in_sql(run, RANK)


VIEWS: dict[str, str] = {
    "pending": """
        SELECT d.id, r.name AS run, d.run_id, t.base_url AS destination, d.kind, d.state, d.attempts,
               d.next_attempt_at, d.last_error, d.first_event, d.last_event,
               coalesce(b.size, length(d.body)) AS bytes, d.created_at
        FROM deliveries d
        JOIN runs r ON r.id = d.run_id
        JOIN destinations t ON t.id = d.destination_id
        LEFT JOIN blobs b ON b.sha256 = d.sha256
        WHERE d.state IN ('pending', 'claimed')
        ORDER BY d.id""",
    "metrics": f"""
        SELECT e.run_id AS run, {number("json_extract(e.payload, '$.epoch')")} AS epoch, m.key AS name, m.atom AS value
        FROM (SELECT e.id, row_number() OVER (PARTITION BY e.run_id, e.key ORDER BY {RANK} DESC, e.id) AS place
              FROM events e JOIN sessions s ON s.id = e.session_id
              WHERE e.kind = '{EPOCH}' AND json_valid(e.payload)) newest
        JOIN events e ON e.id = newest.id, json_each(e.payload, '$.metrics') m
        WHERE newest.place = 1
        ORDER BY e.run_id, epoch, name""",  # noqa: S608 - a constant of this module
    "console": f"""
        SELECT e.run_id AS run, {number("json_extract(e.payload, '$.chunkId')")} AS chunk,
               json_extract(e.payload, '$.content') AS content, e.created_at
        FROM events e JOIN sessions s ON s.id = e.session_id
        WHERE e.kind = '{CONSOLE}' AND json_valid(e.payload)
        ORDER BY e.run_id, {RANK}""",  # noqa: S608 - a constant of this module
    "checkpoints": f"""
        SELECT e.run_id AS run, {number("json_extract(e.payload, '$.epoch')")} AS epoch, e.key AS role,
               json_extract(e.payload, '$.filename') AS filename, json_extract(e.payload, '$.sha256') AS sha256,
               {number("json_extract(e.payload, '$.size')")} AS size, b.state AS bytes_are, d.states AS delivery,
               e.created_at
        FROM events e LEFT JOIN blobs b ON b.sha256 = json_extract(e.payload, '$.sha256')
        LEFT JOIN (SELECT first_event, group_concat(state) AS states FROM deliveries WHERE lane = 'upload'
                   GROUP BY first_event) d ON d.first_event = e.id
        WHERE e.kind = '{CHECKPOINT}'
        ORDER BY e.id""",  # noqa: S608 - a constant of this package
    "dead_letters": """
        SELECT d.id, r.name AS run, d.run_id, t.base_url AS destination, d.kind, d.last_error AS reason, d.attempts,
               d.first_event, d.last_event, d.settled_at
        FROM deliveries d
        JOIN runs r ON r.id = d.run_id
        JOIN destinations t ON t.id = d.destination_id
        WHERE d.state = 'dead'
        ORDER BY d.id""",
    "run_overview": f"""
        SELECT r.id AS run, r.project, r.name, r.created_at, {epochs("r")} AS epochs, m.kind AS last_milestone,
               coalesce(s.sessions, 0) AS sessions, coalesce(e.events, 0) AS events,
               coalesce(d.delivered, 0) AS delivered, coalesce(d.pending, 0) AS pending, coalesce(d.dead, 0) AS dead
        FROM runs r
        LEFT JOIN (SELECT run_id, count(*) AS events FROM events GROUP BY run_id) e ON e.run_id = r.id
        LEFT JOIN (SELECT e.run_id, e.kind,
                          row_number() OVER (PARTITION BY e.run_id ORDER BY {RANK} DESC, e.id) AS place
                   FROM events e JOIN sessions s ON s.id = e.session_id
                   WHERE e.kind IN ({listed(MILESTONES)})) m ON m.run_id = r.id AND m.place = 1
        LEFT JOIN (SELECT run_id, count(*) AS sessions FROM sessions WHERE purpose IS NULL GROUP BY run_id) s
          ON s.run_id = r.id
        LEFT JOIN (SELECT run_id, count(CASE WHEN state = 'delivered' THEN 1 END) AS delivered,
                          count(CASE WHEN state IN ('pending', 'claimed') THEN 1 END) AS pending,
                          count(CASE WHEN state = 'dead' THEN 1 END) AS dead
                   FROM deliveries GROUP BY run_id) d ON d.run_id = r.id
        ORDER BY r.created_at""",  # noqa: S608 - a constant of this module
}

_RANDOM_UUID = """lower(printf('%s-%s-4%s-a%s-%s', hex(randomblob(4)), hex(randomblob(2)),
                     substr(hex(randomblob(2)), 2), substr(hex(randomblob(2)), 2), hex(randomblob(6))))"""
TRIGGERS: dict[str, str] = {
    "name_session": f"""
        AFTER INSERT ON sessions WHEN new.uuid IS NULL BEGIN
          UPDATE sessions SET uuid = {_RANDOM_UUID},
            generation = 1 + coalesce((SELECT max(generation) FROM sessions WHERE run_id = new.run_id), 0),
            parent = (SELECT uuid FROM sessions WHERE run_id = new.run_id AND id != new.id AND purpose IS NULL
                      ORDER BY generation DESC, id DESC LIMIT 1)
          WHERE id = new.id;
        END""",  # noqa: S608 - a constant of this module
    "number_event": """
        AFTER INSERT ON events WHEN new.seq IS NULL BEGIN
          UPDATE events SET seq = max(new.id, 1 + coalesce((SELECT max(seq) FROM events
                                                            WHERE session_id = new.session_id), 0))
          WHERE id = new.id;
        END""",
}
"""They give an identity to rows that were inserted without one, by an earlier version or by hand."""
