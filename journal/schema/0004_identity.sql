-- Who an event is, wherever it travels: the session's uuid and the event's number in it. `journal.identity` fills in what
-- rows of earlier versions lack, and makes the triggers that do so for rows of theirs that come later.

CREATE TABLE facts (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name)
);

ALTER TABLE sessions ADD COLUMN uuid TEXT;

ALTER TABLE sessions ADD COLUMN generation INTEGER;

ALTER TABLE sessions ADD COLUMN parent TEXT;

ALTER TABLE sessions ADD COLUMN purpose TEXT;

CREATE UNIQUE INDEX ix_sessions_uuid ON sessions (uuid);

ALTER TABLE events ADD COLUMN seq INTEGER;

CREATE UNIQUE INDEX ix_events_identity ON events (session_id, seq);

ALTER TABLE deliveries ADD COLUMN span TEXT;
