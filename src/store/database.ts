import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { BangerError } from '../model/errors.ts';
import { MIGRATIONS } from './migrations.ts';

/** How long a statement waits for another process that holds the database. */
const BUSY_TIMEOUT_MS = 2000;

/**
 * Opens the state database, with every per-connection setting and all migrations applied (2.3).
 * The database is held exclusively: a second daemon cannot open it.
 * @throws DATABASE_NEWER, DATABASE_CORRUPT (file left as it is), DAEMON_RUNNING (held by another process)
 */
export function openDatabase(path: string, migrations: readonly string[] = MIGRATIONS): DatabaseSync {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const isNew = path === ':memory:' || !existsSync(path);
  const database = openFile(path);
  try {
    const version = readVersion(database);
    if (version > migrations.length) {
      throw new BangerError(
        'DATABASE_NEWER',
        `${path} was written by a newer banger (schema ${version}, this one knows ${migrations.length})`,
        {
          remedy: 'upgrade banger, or point BANGER_STATE_DIR elsewhere',
        },
      );
    }
    if (version < migrations.length && !isNew) keepCopy(database, path, version);
    for (let n = version; n < migrations.length; n++) migrate(database, n, migrations[n] ?? '');
    return database;
  } catch (error) {
    database.close();
    throw error instanceof BangerError ? error : explain(path, error);
  }
}

function openFile(path: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS, enableForeignKeyConstraints: true });
    // Exclusive before WAL: then no shared-memory file is needed and the lock is kept for the daemon's life.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;');
    database.exec('PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON; BEGIN IMMEDIATE; COMMIT;');
    const check = database.prepare('PRAGMA quick_check(1)').get() as { quick_check: string };
    if (check.quick_check !== 'ok') throw corrupt(path, check.quick_check);
    return database;
  } catch (error) {
    database?.close();
    throw error instanceof BangerError ? error : explain(path, error);
  }
}

function readVersion(database: DatabaseSync): number {
  return (database.prepare('PRAGMA user_version').get() as { user_version: number }).user_version;
}

function keepCopy(database: DatabaseSync, path: string, version: number): void {
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  copyFileSync(path, `${path}.v${version}`);
}

function migrate(database: DatabaseSync, from: number, sql: string): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    database.exec(sql);
    database.exec(`PRAGMA user_version = ${from + 1}`);
    database.exec('COMMIT');
  } catch (error) {
    database.exec('ROLLBACK');
    throw error;
  }
}

// Result codes of SQLite: https://sqlite.org/rescode.html
const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

function explain(path: string, error: unknown): BangerError {
  const code = (error as { errcode?: number }).errcode;
  if (code !== undefined && (code & 0xff) === SQLITE_BUSY) {
    return new BangerError('DAEMON_RUNNING', `another bangerd holds ${path}`, { remedy: 'banger daemon status', cause: error });
  }
  const text = error instanceof Error ? error.message : String(error);
  if (code === SQLITE_CORRUPT || code === SQLITE_NOTADB) return corrupt(path, text);
  return new BangerError('INTERNAL', `cannot open the database ${path}: ${text}`, { cause: error });
}

function corrupt(path: string, reason: string): BangerError {
  return new BangerError('DATABASE_CORRUPT', `the database ${path} is damaged: ${reason}`, {
    remedy: `move it away (mv ${path} ${path}.damaged); VM disks are kept in the same directory`,
    details: { path },
  });
}
