-- What reading a platform back has shown of a run, the last time that somebody asked.

CREATE TABLE verifications (
    run_id TEXT NOT NULL,
    destination_id INTEGER NOT NULL,
    verified_at TEXT NOT NULL,
    is_deep INTEGER NOT NULL,
    last_event INTEGER NOT NULL,
    last_delivery INTEGER NOT NULL,
    proven INTEGER NOT NULL,
    different INTEGER NOT NULL,
    missing INTEGER NOT NULL,
    unreadable INTEGER NOT NULL,
    findings TEXT NOT NULL,
    PRIMARY KEY (run_id, destination_id),
    FOREIGN KEY(run_id, destination_id) REFERENCES targets (run_id, destination_id) ON DELETE CASCADE
);
