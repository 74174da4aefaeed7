-- The first schema. Never change this file after a release: add the next one.

CREATE TABLE blobs (
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('present', 'removed')),
    created_at TEXT NOT NULL,
    PRIMARY KEY (sha256)
);

CREATE TABLE destinations (
    id INTEGER NOT NULL,
    platform TEXT NOT NULL,
    base_url TEXT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (platform, base_url)
);

CREATE TABLE runs (
    id TEXT NOT NULL,
    project TEXT,
    name TEXT NOT NULL,
    save_dir TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE schema_migrations (
    version INTEGER NOT NULL,
    name TEXT NOT NULL,
    applied_at TEXT NOT NULL,
    PRIMARY KEY (version)
);

CREATE TABLE deliveries (
    id INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    destination_id INTEGER NOT NULL,
    chunk_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    lane TEXT NOT NULL CHECK (lane IN ('message', 'upload')),
    stage INTEGER NOT NULL,
    first_event INTEGER NOT NULL,
    last_event INTEGER NOT NULL,
    body TEXT NOT NULL,
    sha256 TEXT,
    role TEXT,
    state TEXT NOT NULL CHECK (state IN ('pending', 'claimed', 'delivered', 'dead', 'superseded', 'dropped')),
    attempts INTEGER NOT NULL,
    next_attempt_at TEXT NOT NULL,
    held INTEGER NOT NULL,
    owner TEXT,
    lease_until TEXT,
    fence INTEGER NOT NULL,
    last_error TEXT,
    receipt TEXT,
    created_at TEXT NOT NULL,
    settled_at TEXT,
    PRIMARY KEY (id),
    FOREIGN KEY(run_id) REFERENCES runs (id),
    FOREIGN KEY(destination_id) REFERENCES destinations (id),
    UNIQUE (chunk_id)
);

CREATE INDEX ix_deliveries_dead ON deliveries (run_id) WHERE state = 'dead';

CREATE INDEX ix_deliveries_open ON deliveries (destination_id, run_id, stage) WHERE state IN ('pending', 'claimed');

CREATE TABLE sessions (
    id INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    started_at TEXT NOT NULL,
    heartbeat_at TEXT NOT NULL,
    ended_at TEXT,
    outcome TEXT,
    PRIMARY KEY (id),
    FOREIGN KEY(run_id) REFERENCES runs (id)
);

CREATE INDEX ix_sessions_run_id ON sessions (run_id);

CREATE TABLE signals (
    id INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    session_id INTEGER NOT NULL,
    destination_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (session_id, destination_id, kind),
    FOREIGN KEY(run_id) REFERENCES runs (id),
    FOREIGN KEY(session_id) REFERENCES sessions (id),
    FOREIGN KEY(destination_id) REFERENCES destinations (id)
);

CREATE INDEX ix_signals_run_id ON signals (run_id);

CREATE TABLE targets (
    run_id TEXT NOT NULL,
    destination_id INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('new', 'registered', 'blocked')),
    reason TEXT,
    ids TEXT NOT NULL,
    planned_through INTEGER NOT NULL,
    stage INTEGER NOT NULL,
    last_upload_at TEXT NOT NULL,
    PRIMARY KEY (run_id, destination_id),
    FOREIGN KEY(run_id) REFERENCES runs (id),
    FOREIGN KEY(destination_id) REFERENCES destinations (id)
);

CREATE TABLE attempts (
    id INTEGER NOT NULL,
    delivery_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    result TEXT NOT NULL,
    error TEXT,
    at TEXT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(delivery_id) REFERENCES deliveries (id)
);

CREATE INDEX ix_attempts_delivery_id ON attempts (delivery_id);

CREATE TABLE events (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL,
    session_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    "key" TEXT NOT NULL,
    payload TEXT NOT NULL,
    created_at TEXT NOT NULL,
    FOREIGN KEY(run_id) REFERENCES runs (id),
    FOREIGN KEY(session_id) REFERENCES sessions (id)
);

CREATE INDEX ix_events_blobs ON events (json_extract(payload, '$.sha256')) WHERE kind = 'checkpoint';

CREATE INDEX ix_events_checkpoints ON events (run_id, "key") WHERE kind = 'checkpoint';

CREATE INDEX ix_events_run_id ON events (run_id);

CREATE TABLE fallback_imports (
    name TEXT NOT NULL,
    session_id INTEGER NOT NULL,
    lines INTEGER NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (name),
    FOREIGN KEY(session_id) REFERENCES sessions (id)
);
