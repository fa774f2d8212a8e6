import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { chooseSteps } from '../../model/provisioning.ts';
import { parseArtifacts } from './artifacts.ts';
import { parseStep, readSteps } from './steps.ts';
import { readFileSync } from 'node:fs';

const FOLDER = join(import.meta.dirname, '../../../images/provision');

test('a step declares its needs in its first comment (8.4)', () => {
  const script =
    '# Title: a tool\n# Packages: list.txt jq\n# Needs: mise\n# Optional: yes\n# Artifacts: tool\n# Service port: 80\n#\n# Why.\n\n# Needs: nothing\n';
  assert.deepEqual(
    parseStep('05-my-tool.sh', script, () => ['git']),
    {
      ...{ name: 'my-tool', title: 'a tool', script, packages: ['git', 'jq'], artifacts: ['tool'], needs: ['mise'] },
      ...{ isOptional: true, servicePorts: [80] },
    },
  );
});

test('every step of the repository can be chosen, and only uses pinned files (8.4)', async () => {
  const steps = await readSteps(FOLDER, () => ['git']);
  assert.deepEqual(
    steps.map(({ name }) => name),
    ['development', 'mise', 'opencode', 'tmux', 'docker-leftovers', 'docker-modules', 'docker', 'podman'],
  );
  assert.deepEqual(
    steps.flatMap(({ servicePorts }) => servicePorts),
    [4096],
  );
  const pinned = parseArtifacts(readFileSync(join(FOLDER, 'artifacts.toml'), 'utf8'));
  assert.deepEqual(steps.flatMap(({ artifacts }) => artifacts).toSorted(), Object.keys(pinned).toSorted());
  const chosen = (wish: Parameters<typeof chooseSteps>[1]) => chooseSteps(steps, wish).map(({ name }) => name);
  assert.deepEqual(chosen({ only: ['tmux', 'mise'], skip: ['tmux'] }), ['mise']);
  assert.throws(() => chosen({ skip: ['mise'] }), /opencode needs mise/);
  assert.throws(() => chosen({ only: ['opencode'], skip: ['mise'] }), /opencode needs mise/);
  assert.deepEqual(chosen({ only: ['opencode'] }), ['mise', 'opencode']);
  assert.deepEqual(chosen({ only: ['docker'] }), ['docker-modules', 'docker']);
  assert.deepEqual(
    chosen({}).filter((name) => ['docker', 'podman'].includes(name)),
    [],
  );
  assert.throws(() => chosen({ skip: ['emacs'] }), /no provisioning step "emacs"/);
});
