-- Up to which number a session's events were known to be on the disk at its last heartbeat.

ALTER TABLE sessions ADD COLUMN flushed_seq INTEGER;
