/**
 * Numbered by position; a released one is never edited, only followed. Each runs in a transaction of its own.
 * `user_version` holds how many have run.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE vms (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    image_id TEXT NOT NULL,
    image_name TEXT NOT NULL,
    spec TEXT NOT NULL,
    network_index INTEGER NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    started_at TEXT,
    last_used_at TEXT,
    runtime TEXT,
    ssh_host_key TEXT,
    last_error TEXT
  ) STRICT;
  CREATE TABLE operations (
    id TEXT PRIMARY KEY,
    verb TEXT NOT NULL,
    vm_id TEXT,
    vm_name TEXT,
    state TEXT NOT NULL,
    created_at TEXT NOT NULL,
    ended_at TEXT,
    error TEXT
  ) STRICT;
  CREATE INDEX operations_running ON operations (state) WHERE state = 'running';
  CREATE TABLE operation_events (
    operation_id TEXT NOT NULL REFERENCES operations (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (operation_id, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE images (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    image TEXT NOT NULL
  ) STRICT;
  `,
  `ALTER TABLE vms ADD COLUMN forwards TEXT NOT NULL DEFAULT '[]'`,
  `ALTER TABLE vms ADD COLUMN labels TEXT NOT NULL DEFAULT '{}'`,
  `
  ALTER TABLE vms ADD COLUMN sleep TEXT;
  ALTER TABLE vms ADD COLUMN keep_awake TEXT;
  `,
];
