import { closeSync, fstatSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { BangerError } from '../model/errors.ts';
import { MIGRATIONS } from './migrations.ts';
import { messageOf } from '../lib/message-of.ts';

/** How long a statement waits for another process that holds the database. */
const BUSY_TIMEOUT_MS = 2000;

/**
 * Space that the log and the database reserve for themselves, so that VMs can still be stopped and deleted when the disk is full. The log
 * starts over when it has this many pages of 4 KiB, before it needs more.
 */
const RESERVED_BYTES = 1024 ** 2;
const LOG_PAGES = 200;

/**
 * Opens the state database, with every per-connection setting and all migrations applied.
 * The database is locked exclusively: a second daemon cannot open it.
 * @throws DATABASE_NEWER, DATABASE_CORRUPT (the file stays as it is), DAEMON_RUNNING (another process has locked it)
 */
export function openDatabase(path: string, migrations: readonly string[] = MIGRATIONS): DatabaseSync {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
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
    if (version > 0 && version < migrations.length) keepCopy(database, path, version);
    for (let n = version; n < migrations.length; n++) migrate(database, n, migrations[n] ?? '');
    reserveRoom(database, path);
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
    // Exclusive before WAL: this needs no shared-memory file, and keeps the lock for the daemon's life.
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

function reserveRoom(database: DatabaseSync, path: string): void {
  if (path === ':memory:') return;
  database.exec(`PRAGMA wal_autocheckpoint = ${LOG_PAGES}`);
  try {
    reservePages(database, path);
    reserveLog(`${path}-wal`);
  } catch (error) {
    // On a full disk there is no space to reserve.
    const { code, errcode } = error as { code?: string; errcode?: number };
    if (errcode !== SQLITE_FULL && code !== 'ENOSPC' && code !== 'EDQUOT') throw error;
    if (database.isTransaction) database.exec('ROLLBACK');
  }
}

/** Pages that were written once and freed stay in the database. Skipped on a disk so full that they would take the log's space. */
function reservePages(database: DatabaseSync, path: string): void {
  const { freelist_count: freePages } = database.prepare('PRAGMA freelist_count').get() as { freelist_count: number };
  const { bavail, bsize } = statfsSync(dirname(path));
  if (freePages >= LOG_PAGES || bavail * bsize < 4 * RESERVED_BYTES) return;
  database.exec(`BEGIN IMMEDIATE; CREATE TABLE reserved (room BLOB); INSERT INTO reserved VALUES (zeroblob(${RESERVED_BYTES})); COMMIT`);
  database.exec('DROP TABLE reserved; PRAGMA wal_checkpoint(RESTART)');
}

/** Zeros at the end of a log are no frames of it (https://sqlite.org/fileformat2.html, 4.1); later frames overwrite them. */
function reserveLog(path: string): void {
  const log = openSync(path, 'r+');
  try {
    const { size } = fstatSync(log);
    const lacking = RESERVED_BYTES - size;
    if (lacking > 0) writeSync(log, Buffer.alloc(lacking), 0, lacking, size);
  } finally {
    closeSync(log);
  }
}

function readVersion(database: DatabaseSync): number {
  return (database.prepare('PRAGMA user_version').get() as { user_version: number }).user_version;
}

/**
 * SQLite makes the copy. If this process opened the file of its database and closed it again, it would lose every lock on it (fcntl(2)), and a
 * second daemon could serve beside this one.
 */
function keepCopy(database: DatabaseSync, path: string, version: number): void {
  const copy = `${path}.v${version}`;
  rmSync(copy, { force: true });
  database.prepare('VACUUM INTO ?').run(copy);
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
const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;

function explain(path: string, error: unknown): BangerError {
  const code = (error as { errcode?: number }).errcode;
  if (code !== undefined && (code & 0xff) === SQLITE_BUSY) {
    return new BangerError('DAEMON_RUNNING', `another bangerd holds ${path}`, { remedy: 'banger daemon status', cause: error });
  }
  const text = messageOf(error);
  if (code === SQLITE_CORRUPT || code === SQLITE_NOTADB) return corrupt(path, text);
  return new BangerError('INTERNAL', `cannot open the database ${path}: ${text}`, { cause: error });
}

function corrupt(path: string, reason: string): BangerError {
  return new BangerError(
    'DATABASE_CORRUPT',
    `the database ${path} is damaged: ${reason}; without it, the daemon restores VMs from the manifests beside their disks`,
    {
      remedy: `mv ${path} ${path}.damaged`,
      details: { path },
    },
  );
}
