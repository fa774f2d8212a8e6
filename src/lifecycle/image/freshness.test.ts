import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hashOf } from '../../images/bundle/build-inputs.ts';
import type { Distribution } from '../../images/distribution.ts';
import { completeImage } from '../../model/image.ts';
import type { ProvisionStep } from '../../model/provisioning.ts';
import { freshnessOf, rebuildCommand } from './freshness.ts';

const step = (name: string, packages: string[]): ProvisionStep => ({
  ...{ name, packages, title: name, script: '', artifacts: [], needs: [], isOptional: false, servicePorts: [] },
});
const AGENT = 'a'.repeat(64);
const bundle = { agentSha256: () => AGENT };
const named = { id: '1'.repeat(32), name: 'dev', createdAt: '2026-01-01T00:00:00Z' };

test('an image is stale when its list of packages has changed, and says command that rebuilds it (8.5)', async (t) => {
  const sourceRoot = mkdtempSync(join(tmpdir(), 'banger-sources-'));
  t.after(() => rmSync(sourceRoot, { recursive: true }));
  mkdirSync(join(sourceRoot, 'images/debian'), { recursive: true });
  const steps = [step('development', ['git', 'make']), step('tmux', ['tmux']), step('mise', [])];
  const sources = { steps: () => Promise.resolve(steps), hash: (names: readonly string[]) => hashOf(...names) };
  let ofVoid = ['runit'];
  const distributions = new Map([['void', { packages: () => Promise.resolve(ofVoid) } as Distribution]]);
  const imageFreshness = freshnessOf({ places: { sourceRoot }, provisionSources: sources, distributions, bundle });
  const fresh = { stale: false, agentOutdated: false, rebuildCommand: null };

  const list = join(sourceRoot, 'images/debian/packages.txt');
  const bundled = completeImage({ ...named, origin: 'bundle', packages: ['curl'], packagesHash: hashOf('curl') });
  writeFileSync(list, '# one\ncurl\n');
  assert.deepEqual(await imageFreshness(bundled), fresh);
  writeFileSync(list, 'curl\nwget\n');
  assert.deepEqual(await imageFreshness(bundled), { ...fresh, stale: true, rebuildCommand: 'banger bundle build' });

  const recipe = {
    from: 'default',
    distribution: 'debian',
    packagesPath: null,
    scriptPath: '/home/me/my setup.sh',
    steps: ['development', 'mise'],
  };
  const built = completeImage({ ...named, origin: 'built', packagesHash: hashOf('git', 'make'), recipe });
  assert.deepEqual(await imageFreshness(built), fresh);
  steps[0] = step('development', ['git', 'make', 'jq']);
  assert.deepEqual(await imageFreshness(built), {
    ...fresh,
    stale: true,
    rebuildCommand: "banger image build --name dev --from default --replace --script '/home/me/my setup.sh' --skip tmux",
  });
  assert.deepEqual(await imageFreshness({ ...built, recipe: { ...recipe, packagesPath: '/home/me/list' } }), fresh, 'a list of the user');
  const bootstrapped = { ...built, packagesHash: hashOf('runit'), recipe: { ...recipe, from: null, distribution: 'void', steps: [] } };
  assert.deepEqual(await imageFreshness(bootstrapped), fresh);
  ofVoid = ['runit', 'bash'];
  assert.match((await imageFreshness(bootstrapped)).rebuildCommand ?? '', /--name dev --distribution void --replace --script '[^']+'$/);
  assert.deepEqual(await imageFreshness(completeImage({ ...named, origin: 'registered' })), fresh);
  rmSync(list);
  assert.deepEqual(await imageFreshness(bundled), fresh, 'without sources nothing is known');
});

test("an image with another guest agent than the bundle's says so, and how to rebuild it if a command can (8.5, 7.2)", async () => {
  const sources = { steps: () => Promise.resolve([]), hash: () => '' };
  const imageFreshness = freshnessOf({
    places: { sourceRoot: null },
    provisionSources: sources,
    distributions: new Map(),
    bundle,
  });
  const recipe = { from: 'default', distribution: 'debian', packagesPath: null, scriptPath: null, steps: [] };
  const fresh = { stale: false, agentOutdated: false, rebuildCommand: null };
  const built = { ...named, origin: 'built' as const, recipe };
  assert.deepEqual(await imageFreshness(completeImage({ ...built, agentSha256: AGENT })), fresh);
  assert.deepEqual(await imageFreshness(completeImage(built)), fresh, 'nothing is known of images of older versions');
  const rebuild = 'banger image build --name dev --from default --replace';
  assert.deepEqual(await imageFreshness(completeImage({ ...built, agentSha256: 'b' })), {
    ...fresh,
    agentOutdated: true,
    rebuildCommand: rebuild,
  });
  const imported = completeImage({ ...named, origin: 'imported', agentSha256: 'b' });
  assert.deepEqual(await imageFreshness(imported), { ...fresh, agentOutdated: true });
});

test('a command that builds an image anew is one for a shell (8.5)', () => {
  const recipe = { from: 'base', distribution: 'debian', packagesPath: "/it's here", scriptPath: null, steps: [] };
  assert.equal(
    rebuildCommand('dev', recipe, [
      { name: 'mise', isOptional: false },
      { name: 'docker', isOptional: true },
    ]),
    `banger image build --name dev --from base --replace --packages '/it'\\''s here' --skip mise`,
  );
  const trusting = rebuildCommand('dev', { ...recipe, packagesPath: null, hostCa: true, hostProxy: false }, []);
  assert.equal(trusting, 'banger image build --name dev --from base --replace --host-ca --no-host-proxy');
  assert.equal(
    rebuildCommand('dev', { ...recipe, packagesPath: null, steps: ['modules', 'docker'] }, [
      ...['mise', 'modules'].map((name) => ({ name, isOptional: false })),
      { name: 'docker', isOptional: true },
    ]),
    'banger image build --name dev --from base --replace --step modules --step docker',
  );
});
