// Jails with the real Firecracker and jailer, limits, and guests that run in them.
import '../support/machine/in-lab.ts';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { contractReporters } from '../support/vmm/contract-results.ts';
import { createJailBench } from '../support/vmm/jail-bench.ts';
import { describeJail } from '../support/vmm/jail-promises.ts';

const ROOT = join(import.meta.dirname, '../..');
const HELPER = join(ROOT, 'native/helper/build/banger-helper');
const DEV = 1000;
const isThere = process.env['BANGER_FIRECRACKER'] !== undefined && process.env['BANGER_JAILER'] !== undefined;
const skip = isThere ? false : 'BANGER_FIRECRACKER and BANGER_JAILER name no programs';

if (isThere) describeJail(createJailBench(HELPER));
else test('jails with the real programs', { skip }, () => undefined);

test('the hypervisor contract holds for jailed machines of an ordinary user (4.1, 4.4)', { skip, timeout: 1_200_000 }, async (t) => {
  const bench = createJailBench(HELPER);
  t.after(() => bench.remove());
  await bench.start();
  const asUser = ['setpriv', `--reuid=${DEV}`, `--regid=${DEV}`, '--clear-groups'];
  const node = [process.execPath, '--no-function-context-cells', ...contractReporters('jailed'), join(ROOT, 'test/lab/jail-inside.ts')];
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const [program = '', ...words] = [...asUser, ...node];
  const child = spawn(program, words, { stdio: 'inherit', env: { ...env, HOME: '/tmp', JAIL_SOCKET: bench.socketPath } });
  assert.equal(await new Promise((resolve) => child.on('close', resolve)), 0, bench.log());
});
