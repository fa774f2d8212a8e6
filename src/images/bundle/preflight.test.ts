import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inNamespace } from './namespace.ts';
import { buildFindings, refuseBuild } from './preflight.ts';
import type { BuildFacts } from './preflight.ts';

const GOOD: BuildFacts = {
  userId: 1000,
  userName: 'ada',
  distribution: 'debian',
  architecture: 'amd64',
  missingPrograms: [],
  hasIdRanges: true,
  namespaceError: null,
  hasPackageLists: true,
  hasKernelHeaders: true,
  freeDiskBytes: 10e9,
  availableMemoryBytes: 4e9,
};

const remedies = (facts: Partial<BuildFacts>): (string | undefined)[] => buildFindings({ ...GOOD, ...facts }).map(({ remedy }) => remedy);

test('a machine that has everything is not refused (2.5)', () => {
  assert.deepEqual(buildFindings(GOOD), []);
  refuseBuild(GOOD);
});

test('missing programs are named with the packages that bring them, each once (2.5)', () => {
  assert.deepEqual(remedies({ missingPrograms: ['mke2fs', 'newuidmap', 'newgidmap'] }), ['sudo apt-get install e2fsprogs uidmap']);
});

test('an ordinary user needs ranges of ids and user namespaces, root does not (2.5)', () => {
  assert.match(remedies({ hasIdRanges: false })[0] ?? '', /usermod --add-subuids .* ada$/);
  assert.match(remedies({ namespaceError: 'unshare ended with status 1' })[0] ?? '', /max_user_namespaces/);
  assert.deepEqual(remedies({ userId: 0, hasIdRanges: false }), []);
});

test('all reasons are reported at once, and lack of space has its own code (2.5)', () => {
  const several = { ...GOOD, hasPackageLists: false, freeDiskBytes: 1e9 };
  assert.throws(() => refuseBuild(several), { code: 'PREREQUISITE_MISSING', message: /lists are missing; 0\.9 GiB of disk/ });
  assert.throws(() => refuseBuild({ ...GOOD, availableMemoryBytes: 1e8 }), { code: 'NO_SPACE' });
});

test('an ordinary user becomes root of a user namespace, root only hides its mounts and processes (2.5)', () => {
  assert.ok(inNamespace(1000, ['true']).includes('--map-auto'));
  assert.ok(!inNamespace(0, ['true']).includes('--user'));
  assert.deepEqual(inNamespace(0, ['a', 'b']).slice(-3), ['--', 'a', 'b']);
});
