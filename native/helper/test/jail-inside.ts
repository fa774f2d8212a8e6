// Started by jail.test.ts.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { USER, askAs, createJailBench, makeClaims, picture } from '../../../test/support/vmm/jail-bench.ts';
import { describeJail } from '../../../test/support/vmm/jail-promises.ts';

const program = process.env['BANGER_HELPER'] ?? '';
const standIn = join(process.env['BANGER_HELPER_BUILD'] ?? '', 'stand-in');

describeJail(createJailBench(program, standIn));
if (program.endsWith('faulty')) testFaults();

function testFaults(): void {
  test('a failure at each step of a start leaves nothing, and a crash nothing that the next start keeps (1.2)', async () => {
    const bench = createJailBench(program, standIn);
    after(() => bench.remove());
    await bench.start();
    await askAs(bench, USER, 'hello');
    const start = async (): Promise<string | undefined> => {
      makeClaims(bench, USER, '0000ffff', true);
      return (await askAs(bench, USER, 'jail start 0000ffff 1 64 host')).at(-1);
    };
    assert.equal(await start(), 'ok');
    await askAs(bench, USER, 'jail stop 0000ffff');
    const clean = await picture(bench);
    let step = 1;
    for (; step < 60; step++) {
      await bench.start(`jail:${step}`);
      const answer = await start();
      if (answer === 'ok') break;
      assert.match(answer ?? '', /^error EIO/);
      assert.equal(await picture(bench), clean, `step ${step}`);
      await bench.start(`jail:${step}:crash`);
      assert.equal(await start(), '');
      await bench.start();
      assert.equal((await askAs(bench, USER, 'jail stop 0000ffff')).at(-1), 'ok');
      assert.equal(await picture(bench), clean, `crash at step ${step}`);
    }
    assert.ok(step > 15 && step < 60, `${step} steps`);
    await askAs(bench, USER, 'jail stop 0000ffff');
  });
}
