import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  lchownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { PlaceProblem } from './own-place.ts';
import { connectOwnSocket, connectRootSocket } from './own-socket.ts';

/** Somebody else of this host. */
const STRANGER = 54_321;
const canGiveAway = process.getuid?.() === 0 ? {} : { skip: 'only root can make what belongs to another user' };

type Place = { base: string; directory: string; path: string; server: Server; heard: () => number };

/** A directory of ours with a socket that counts who comes. */
async function place(t: TestContext): Promise<Place> {
  const base = mkdtempSync(join(tmpdir(), 'bgr-'));
  const directory = join(base, 'run');
  mkdirSync(directory, { mode: 0o700 });
  let heard = 0;
  const server = createServer((socket) => {
    heard++;
    socket.on('error', () => undefined).end('hello');
  });
  const path = join(directory, 's');
  server.listen(path);
  await once(server, 'listening');
  t.after(() => {
    server.close();
    rmSync(base, { recursive: true, force: true });
  });
  return { base, directory, path, server, heard: () => heard };
}

/** @returns what was said, or why nothing was */
async function outcome(socket: Socket): Promise<string> {
  const said = await new Promise<string>((resolve) => {
    socket.once('data', (bytes: Buffer) => resolve(bytes.toString()));
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error instanceof PlaceProblem ? error.message : (error.code ?? '')));
  });
  socket.destroy();
  return said;
}

test('a socket of the user in a closed directory is reached, however its path is written, and no descriptor is left (1.1)', async (t) => {
  const { base, directory, path } = await place(t);
  symlinkSync(base, join(base, 'link'));
  for (const name of [path, `${base}/./run//s`, `${base}/run/../run/s`, `${base}/link/run/s`]) {
    assert.equal(await outcome(connectOwnSocket(name)), 'hello', name);
  }
  assert.equal(await outcome(connectOwnSocket(join(directory, 'nobody'))), 'ENOENT');
  assert.equal(await outcome(connectOwnSocket(join(base, 'no/where'))), 'ENOENT');
  const held = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return [];
    }
  });
  assert.deepEqual(
    held.filter((target) => target.startsWith(base)),
    [],
  );
});

const OTHERS_PLACES: readonly { what: string; change: (place: Place) => unknown; path?: (place: Place) => string; says: RegExp }[] = [
  {
    what: 'the directory of another user',
    change: ({ directory }) => chownSync(directory, STRANGER, STRANGER),
    says: /run belongs to uid 54321/,
  },
  {
    what: 'the socket of another user in our directory',
    change: ({ path }) => chownSync(path, STRANGER, 0),
    says: /run\/s belongs to uid 54321/,
  },
  {
    what: 'a directory in that of another user',
    change: ({ base }) => chownSync(base, STRANGER, 0),
    says: /belongs to uid 54321, who may/,
  },
  {
    what: 'a link that another user made on the way',
    change: foreignLink,
    path: ({ base }) => join(base, 'way/run/s'),
    says: /way belongs to uid 54321/,
  },
  {
    what: 'a link of another user to a directory of ours',
    change: ({ base, directory }) => {
      symlinkSync(directory, join(base, 'way'));
      lchownSync(join(base, 'way'), STRANGER, 0);
    },
    path: ({ base }) => join(base, 'way/s'),
    says: /way belongs to uid 54321, not to you/,
  },
];

function foreignLink({ base }: Place): void {
  symlinkSync(base, join(base, 'way'));
  lchownSync(join(base, 'way'), STRANGER, 0);
}

for (const { what, change, path, says } of OTHERS_PLACES) {
  test(`${what} is refused before a byte is sent (1.1, 12.8)`, canGiveAway, async (t) => {
    const found = await place(t);
    change(found);
    assert.match(await outcome(connectOwnSocket(path?.(found) ?? found.path)), says);
    assert.equal(found.heard(), 0);
  });
}

const OPEN_PLACES: readonly { what: string; change: (place: Place) => unknown; path?: (place: Place) => string; says: RegExp }[] = [
  { what: 'a directory that others may write', change: ({ directory }) => chmodSync(directory, 0o777), says: /open to others/ },
  { what: 'a directory that others may enter', change: ({ directory }) => chmodSync(directory, 0o711), says: /open to others/ },
  { what: 'a directory that others may move away', change: ({ base }) => chmodSync(base, 0o777), says: /others may move what is in/ },
  {
    what: 'a directory that is a link',
    change: ({ base, directory }) => symlinkSync(directory, join(base, 'link')),
    path: ({ base }) => join(base, 'link/s'),
    says: /link is a link/,
  },
  {
    what: 'a socket that is a link',
    change: ({ directory, path }) => symlinkSync(path, join(directory, 'link')),
    path: ({ directory }) => join(directory, 'link'),
    says: /link is a link/,
  },
  { what: 'a directory in place of a socket', change: () => undefined, path: ({ directory }) => directory, says: /is not a socket/ },
];

for (const { what, change, path, says } of OPEN_PLACES) {
  test(`${what} is refused before a byte is sent (1.1, 12.8)`, async (t) => {
    const found = await place(t);
    chmodSync(found.base, 0o700);
    change(found);
    assert.match(await outcome(connectOwnSocket(path?.(found) ?? found.path)), says);
    assert.equal(found.heard(), 0);
  });
}

test("in a sticky directory other users cannot move this user's files (1.1)", async (t) => {
  const { base, path } = await place(t);
  chmodSync(base, 0o1777);
  assert.equal(await outcome(connectOwnSocket(path)), 'hello');
});

test('a file that replaces a socket after the check gets no connection (1.1, 12.8)', async (t) => {
  const { directory, path, heard } = await place(t);
  let caught = 0;
  const other = createServer((socket) => {
    caught++;
    socket.destroy();
  }).listen(join(directory, 'other'));
  t.after(() => other.close());
  await once(other, 'listening');
  const socket = connectOwnSocket(path);
  linkSync(path, join(directory, 'kept'));
  renameSync(join(directory, 'other'), path);
  assert.equal(await outcome(socket), 'hello');
  assert.deepEqual([heard(), caught], [1, 0]);
});

test("the root helper's socket is used only where root alone can have put it (6.2, 12.8)", canGiveAway, async (t) => {
  const { directory, path, heard } = await place(t);
  chmodSync(directory, 0o755);
  assert.equal(await outcome(connectRootSocket(path)), 'hello');
  const tries: readonly [change: () => void, says: RegExp][] = [
    [() => chmodSync(directory, 0o777), /others than root may write/],
    [() => chownSync(directory, STRANGER, 0), /run belongs to uid 54321, not to root/],
    [() => (chownSync(directory, 0, 0), chmodSync(directory, 0o755), chownSync(path, STRANGER, 0)), /s belongs to uid 54321, not to root/],
  ];
  for (const [change, says] of tries) {
    change();
    assert.match(await outcome(connectRootSocket(path)), says);
  }
  assert.equal(heard(), 1);
});
