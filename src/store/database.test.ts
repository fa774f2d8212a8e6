import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { BangerError, type ErrorCode } from '../model/errors.ts';
import { openDatabase } from './database.ts';
import { MIGRATIONS } from './migrations.ts';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'banger-store-'));
  path = `${directory}/state/banger.db`;
});
afterEach(() => rmSync(directory, { recursive: true }));

const failsWith = (code: ErrorCode) => (error: unknown) => error instanceof BangerError && error.code === code;

describe('the state database', () => {
  test('runs in WAL mode with foreign keys on every connection (2.3)', () => {
    for (let round = 0; round < 2; round++) {
      const database = openDatabase(path);
      const pragma = (name: string): unknown => Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0];
      assert.equal(pragma('journal_mode'), 'wal');
      assert.equal(pragma('foreign_keys'), 1);
      assert.equal(pragma('synchronous'), 1);
      assert.equal(pragma('busy_timeout'), 2000);
      assert.equal(pragma('user_version'), MIGRATIONS.length);
      database.close();
    }
  });

  test('is still held after a migration: no other process gets it (1.2, 2.3)', () => {
    openDatabase(path, MIGRATIONS.slice(0, 1)).close();
    const database = openDatabase(path, MIGRATIONS);
    const script = `new (require('node:sqlite').DatabaseSync)(${JSON.stringify(path)}).exec('BEGIN IMMEDIATE')`;
    const other = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
    assert.match(other.stderr, /database is locked/);
    database.close();
  });

  test('keeps a copy before migrating, and the data (2.3)', () => {
    const first = openDatabase(path);
    first.exec("INSERT INTO images VALUES ('1', 'default', '{}')");
    first.close();
    const second = openDatabase(path, [...MIGRATIONS, 'CREATE TABLE extra (x TEXT) STRICT']);
    assert.equal(second.prepare('SELECT count(*) AS n FROM images').get()?.['n'], 1);
    second.close();
    assert.ok(existsSync(`${path}.v${MIGRATIONS.length}`));
  });

  test('undoes a migration that fails, as a whole (2.3)', () => {
    openDatabase(path).close();
    assert.throws(() => openDatabase(path, [...MIGRATIONS, 'CREATE TABLE extra (x TEXT) STRICT; NONSENSE']));
    const database = openDatabase(path);
    assert.equal(database.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'extra'").get()?.['n'], 0);
    database.close();
  });

  test('of a newer version is refused and left as it is (2.3)', () => {
    openDatabase(path, [...MIGRATIONS, 'CREATE TABLE extra (x TEXT) STRICT']).close();
    const before = readFileSync(path);
    assert.throws(() => openDatabase(path), failsWith('DATABASE_NEWER'));
    assert.deepEqual(readFileSync(path), before);
  });

  test('that is damaged is reported with its path and left as it is (2.3)', () => {
    openDatabase(path).close();
    const pages = readFileSync(path);
    for (const [name, damaged] of Object.entries({
      'random bytes': Buffer.alloc(8192, 0x5a),
      'zeroed second page': Buffer.concat([pages.subarray(0, 4096), Buffer.alloc(pages.length - 4096)]),
    })) {
      writeFileSync(path, damaged);
      assert.throws(
        () => openDatabase(path),
        (error) => failsWith('DATABASE_CORRUPT')(error) && (error as Error).message.includes(path),
        name,
      );
      assert.deepEqual(readFileSync(path), damaged, name);
    }
  });

  test('has room of its own, so that on a full disk VMs can still be stopped and deleted: neither file grows (9.5)', () => {
    // Also in the second life, when a dead daemon has left its log or an orderly one has removed it.
    openDatabase(path).close();
    const database = openDatabase(path);
    const sizes = (): number[] => [path, `${path}-wal`].map((name) => statSync(name).size);
    const before = sizes();
    for (const size of before) assert.ok(size >= 1024 ** 2, `${size}`);
    const insert = database.prepare("INSERT INTO operations VALUES (?, 'vm.stop', NULL, NULL, 'done', '', '', ?)");
    const remove = database.prepare('DELETE FROM operations WHERE id <= ?');
    for (let n = 0; n < 2000; n++) {
      insert.run(String(n).padStart(6, '0'), 'x'.repeat(1000));
      if (n > 300) remove.run(String(n - 300).padStart(6, '0'));
    }
    assert.deepEqual(sizes(), before);
    database.close();
  });

  test('is held by one process at a time (2.3)', () => {
    const database = openDatabase(path);
    try {
      assert.throws(() => openDatabase(path), failsWith('DAEMON_RUNNING'));
    } finally {
      database.close();
    }
  });
});
