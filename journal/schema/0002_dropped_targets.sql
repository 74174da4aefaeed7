-- When a person gave a run's destination up; NULL while it is delivered to.

ALTER TABLE targets ADD COLUMN dropped_at TEXT;
