"""The store's tables. `PRAGMA user_version` is the version of their layout."""

from __future__ import annotations

_PLATFORM = """
CREATE TABLE models (
    id           TEXT PRIMARY KEY,
    owner        TEXT NOT NULL,
    project      TEXT NOT NULL,
    project_name TEXT NOT NULL,
    slug         TEXT NOT NULL,
    name         TEXT NOT NULL,     -- the slug requested; `slug` is that, made unique
    status       TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    updated_at   TEXT NOT NULL,
    started_at   TEXT NOT NULL,
    completed_at TEXT,
    epochs       INTEGER,
    device       TEXT,
    train_args   TEXT,              -- this and all below: JSON
    environment  TEXT,
    system       TEXT,
    model_info   TEXT,
    progress     TEXT,
    results      TEXT,
    class_names  TEXT,
    plots        TEXT,
    error        TEXT,
    UNIQUE (owner, project, slug)
);
CREATE INDEX models_by_name ON models (owner, project, name);

CREATE TABLE runs (                 -- one for each training_started
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    model_id   TEXT NOT NULL REFERENCES models ON DELETE CASCADE,
    started_at TEXT NOT NULL
);
CREATE INDEX runs_by_model ON runs (model_id);

CREATE TABLE epochs (
    model_id  TEXT NOT NULL REFERENCES models ON DELETE CASCADE,
    epoch     INTEGER NOT NULL,
    data      TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    PRIMARY KEY (model_id, epoch)
);

CREATE TABLE console (
    model_id  TEXT NOT NULL REFERENCES models ON DELETE CASCADE,
    chunk_id  NOT NULL,             -- no affinity: integers sort as numbers, and before text
    data      TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    PRIMARY KEY (model_id, chunk_id)
);

CREATE TABLE uploads (
    id            TEXT PRIMARY KEY,
    model_id      TEXT NOT NULL REFERENCES models ON DELETE CASCADE,
    run_id        INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    filename      TEXT NOT NULL,
    path          TEXT NOT NULL,
    declared_size INTEGER,
    promotes      INTEGER NOT NULL,
    created_at    TEXT NOT NULL,
    sha256        TEXT,
    size          INTEGER
);
CREATE INDEX uploads_by_model ON uploads (model_id, path);

CREATE TABLE checkpoints (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    model_id TEXT NOT NULL REFERENCES models ON DELETE CASCADE,
    run_id   INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    sha256   TEXT NOT NULL,
    size     INTEGER NOT NULL,
    filename TEXT NOT NULL,
    path     TEXT NOT NULL,
    saved_at TEXT NOT NULL,
    UNIQUE (run_id, sha256)
);
CREATE INDEX checkpoints_by_model ON checkpoints (model_id);

CREATE TABLE answers (              -- first answer to each Idempotency-Key
    scope  TEXT NOT NULL,           -- method and path
    key    TEXT NOT NULL,
    digest TEXT NOT NULL,           -- sha256 of the request body
    answer TEXT NOT NULL,
    PRIMARY KEY (scope, key)
) WITHOUT ROWID;
"""

_HUB = """
CREATE TABLE hub_models (
    id           TEXT PRIMARY KEY,
    config       TEXT NOT NULL,     -- this and the next three: JSON, as received
    dataset      TEXT NOT NULL,
    lineage      TEXT NOT NULL,
    meta         TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    updated_at   TEXT NOT NULL,
    agent_id     TEXT,
    heartbeat_at TEXT
);

CREATE TABLE hub_epochs (
    model_id  TEXT NOT NULL REFERENCES hub_models ON DELETE CASCADE,
    epoch     INTEGER NOT NULL,
    metrics   TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    PRIMARY KEY (model_id, epoch)
);

CREATE TABLE hub_weights (
    model_id TEXT NOT NULL REFERENCES hub_models ON DELETE CASCADE,
    kind     TEXT NOT NULL,         -- last, best
    sha256   TEXT NOT NULL,
    size     INTEGER NOT NULL,
    epoch    INTEGER NOT NULL,
    is_best  INTEGER NOT NULL,
    map      REAL,
    saved_at TEXT NOT NULL,
    PRIMARY KEY (model_id, kind)
);
"""

_TRANSFERS = """
ALTER TABLE uploads ADD COLUMN declared_sha256 TEXT;

CREATE TABLE transfers (            -- resumable uploads; the size of its partial file is how far each is
    id        TEXT PRIMARY KEY,
    upload_id TEXT NOT NULL REFERENCES uploads ON DELETE CASCADE,
    size      INTEGER NOT NULL,
    sha256    TEXT,
    metadata  TEXT NOT NULL,        -- the header Upload-Metadata, as received
    expires   INTEGER NOT NULL,     -- Unix seconds
    finished  INTEGER NOT NULL
);
CREATE INDEX transfers_by_upload ON transfers (upload_id);
"""

_EXPIRING_ANSWERS = """
ALTER TABLE answers ADD COLUMN model_id TEXT REFERENCES models ON DELETE CASCADE;  -- NULL: stays
CREATE INDEX answers_by_model ON answers (model_id);
UPDATE answers SET model_id = json_extract(answer, '$.modelId')
    WHERE json_extract(answer, '$.runId') IS NULL AND json_extract(answer, '$.modelId') IN (SELECT id FROM models);
"""

_ORDER = """
ALTER TABLE models ADD COLUMN rank INTEGER;       -- of the last start or end; NULL, as all below, without an order
ALTER TABLE epochs ADD COLUMN rank INTEGER;
ALTER TABLE console ADD COLUMN rank INTEGER;
ALTER TABLE console ADD COLUMN session TEXT;      -- a chunk is made of this session's events `first` to `last`
ALTER TABLE console ADD COLUMN first INTEGER;
ALTER TABLE console ADD COLUMN last INTEGER;
ALTER TABLE uploads ADD COLUMN rank INTEGER;
ALTER TABLE checkpoints ADD COLUMN rank INTEGER;
"""

_PROPERTIES = """
ALTER TABLE models ADD COLUMN metadata TEXT;      -- JSON, as clients set it
ALTER TABLE models ADD COLUMN properties TEXT;    -- JSON: what people say of a model (name, description, licence, ...)
"""

_TIMES = """
-- What a client tells of times is when something happened; when it arrived is kept beside it.
ALTER TABLE models ADD COLUMN heard_at TEXT;      -- when the newest thing that is known of the training happened
ALTER TABLE runs ADD COLUMN arrived_at TEXT;
ALTER TABLE epochs ADD COLUMN arrived_at TEXT;
ALTER TABLE console ADD COLUMN arrived_at TEXT;
ALTER TABLE uploads ADD COLUMN saved_at TEXT;     -- when the file was saved, if the client tells
ALTER TABLE checkpoints ADD COLUMN arrived_at TEXT;
ALTER TABLE hub_models ADD COLUMN started_at TEXT;
ALTER TABLE hub_models ADD COLUMN heard_at TEXT;
ALTER TABLE hub_weights ADD COLUMN arrived_at TEXT;
UPDATE models SET heard_at = updated_at;
UPDATE runs SET arrived_at = started_at;
UPDATE epochs SET arrived_at = timestamp;
UPDATE console SET arrived_at = timestamp;
UPDATE checkpoints SET arrived_at = saved_at;
UPDATE hub_models SET started_at = created_at, heard_at = updated_at;
UPDATE hub_weights SET arrived_at = saved_at;
"""

_WITNESS = """
CREATE TABLE witnessed (            -- the newest head of each session's events that was countersigned; never deleted
    origin TEXT PRIMARY KEY,
    key    TEXT NOT NULL,
    size   INTEGER NOT NULL,
    root   BLOB NOT NULL,
    note   TEXT NOT NULL
);
"""

_EVALUATIONS = """
ALTER TABLE epochs ADD COLUMN is_evaluation INTEGER;  -- whether it is the final one; NULL: the client says nothing
"""

_EXPORTS = """
CREATE TABLE exports (              -- conversions into other formats that clients have ordered
    id         TEXT PRIMARY KEY,
    model_id   TEXT NOT NULL REFERENCES models ON DELETE CASCADE,
    format     TEXT NOT NULL,
    args       TEXT,                -- JSON
    gpu_type   TEXT,
    created_at TEXT NOT NULL
);
CREATE INDEX exports_by_model ON exports (model_id);
"""

_MEDIA = """
CREATE TABLE media (                -- images and plots
    model_id   TEXT NOT NULL REFERENCES models ON DELETE CASCADE,
    name       TEXT NOT NULL,
    step       INTEGER NOT NULL,
    data       TEXT NOT NULL,       -- JSON, as received
    timestamp  TEXT NOT NULL,
    arrived_at TEXT NOT NULL,
    rank       INTEGER,
    PRIMARY KEY (model_id, name, step)
);
"""

_DATASETS = """
CREATE TABLE datasets (             -- made by clients; beside those that are files only
    id         TEXT PRIMARY KEY,
    owner      TEXT NOT NULL,
    slug       TEXT NOT NULL,
    properties TEXT NOT NULL,       -- this and the next: JSON
    metadata   TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (owner, slug)
);
CREATE TABLE dataset_files (
    id            TEXT PRIMARY KEY,
    dataset_id    TEXT NOT NULL REFERENCES datasets ON DELETE CASCADE,
    filename      TEXT NOT NULL,
    declared_size INTEGER NOT NULL,
    sha256        TEXT,             -- NULL: not there yet
    size          INTEGER,
    ingested      INTEGER NOT NULL
);
CREATE TABLE dataset_versions (
    dataset_id   TEXT NOT NULL REFERENCES datasets ON DELETE CASCADE,
    version      INTEGER NOT NULL,
    content_hash TEXT NOT NULL,
    PRIMARY KEY (dataset_id, version)
);
"""

_ANNOUNCED = """
CREATE TABLE announced (            -- the keys that registrations told of their runs, by which heads are signed
    model_id TEXT NOT NULL REFERENCES models ON DELETE CASCADE,
    run      TEXT NOT NULL,
    key      TEXT NOT NULL,
    PRIMARY KEY (run, key, model_id)
) WITHOUT ROWID;
CREATE INDEX announced_by_model ON announced (model_id);
INSERT INTO announced
    SELECT id, json_extract(environment, '$.uploaderRun'), json_extract(environment, '$.uploaderProofKey') FROM models
    WHERE json_type(environment, '$.uploaderRun') = 'text' AND json_type(environment, '$.uploaderProofKey') = 'text';
"""

STEPS = (
    _PLATFORM,
    _HUB,
    _TRANSFERS,
    _EXPIRING_ANSWERS,
    _ORDER,
    _PROPERTIES,
    _TIMES,
    _WITNESS,
    _EVALUATIONS,
    _EXPORTS,
    _MEDIA,
    _DATASETS,
    _ANNOUNCED,
)
"""Migrations, in order: each leads to the next layout, the first from an empty file."""

VERSION = len(STEPS)
"""The layout that this code writes; a file with a higher one is refused."""
