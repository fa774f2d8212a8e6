import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LineReply } from '../../lib/line-protocol.ts';
import { applyForwards, parseForwards, planForwards } from './forwards.ts';

const vm = { guestAddress: '10.213.0.2', loopbackAddress: '127.213.0.2' };

/** A holder in memory, for a user who may not bind low ports. */
function fakeHolder(): { ask: (requests: readonly string[]) => Promise<LineReply[]>; lines: Set<string>; rounds: () => number } {
  const lines = new Set<string>();
  let rounds = 0;
  const one = (request: string): LineReply => {
    const [verb, protocol, address, port] = request.split(' ');
    if (verb === 'list') return { ok: true, lines: [...lines] };
    if (verb === 'unlisten') {
      for (const line of lines) if (line.startsWith(`listen ${protocol} ${address} ${port} `)) lines.delete(line);
      return { ok: true, lines: [] };
    }
    if (Number(port) < 1024) return { ok: false, errno: 'EACCES', text: 'Permission denied' };
    for (const line of lines) {
      if (line.startsWith(`listen ${protocol} ${address} ${port} `)) return { ok: false, errno: 'EADDRINUSE', text: 'Address in use' };
    }
    lines.add(request);
    return { ok: true, lines: [] };
  };
  const ask = async (requests: readonly string[]): Promise<LineReply[]> => {
    if (requests.length > 0) rounds++;
    return requests.map(one);
  };
  return { ask, lines, rounds: () => rounds };
}

const tcp = (port: number) => ({ protocol: 'tcp' as const, port });

test('a low port that is refused appears under its stand-in (6.1)', async () => {
  const holder = fakeHolder();
  const results = await applyForwards(holder.ask, vm, [tcp(80), tcp(443), tcp(22), tcp(3000)]);
  assert.deepEqual(
    results.map((r) => r.hostPort),
    [8080, 8443, 10_022, 3000],
  );
  assert.equal(holder.rounds(), 3);
});

test('a stand-in gives way when the guest opens that port itself (6.1)', async () => {
  const holder = fakeHolder();
  await applyForwards(holder.ask, vm, [tcp(80)]);
  const results = await applyForwards(holder.ask, vm, [tcp(80), tcp(8080)]);
  assert.deepEqual(
    results.map((r) => [r.port, r.hostPort]),
    [
      [80, 8081],
      [8080, 8080],
    ],
  );
  assert.equal(holder.lines.has('listen tcp 127.213.0.2 8080 10.213.0.2 8080'), true);
});

test('existing forwards stay untouched, as do those of other VMs (6.1)', async () => {
  const holder = fakeHolder();
  const foreign = 'listen tcp 127.213.0.9 5000 10.213.0.9 5000';
  holder.lines.add(foreign);
  await applyForwards(holder.ask, vm, [tcp(5000), tcp(5001)]);
  await applyForwards(holder.ask, vm, [tcp(5001)]);
  assert.deepEqual([...holder.lines], [foreign, 'listen tcp 127.213.0.2 5001 10.213.0.2 5001']);
  const plan = planForwards(parseForwards([...holder.lines].slice(1)), [tcp(5001)]);
  assert.deepEqual([plan.remove, plan.add], [[], []]);
});

test('TCP and UDP of one number are two things (6.1)', async () => {
  const results = await applyForwards(fakeHolder().ask, vm, [tcp(53), { protocol: 'udp', port: 53 }]);
  assert.deepEqual(
    results.map((r) => [r.protocol, r.hostPort]),
    [
      ['tcp', 10_053],
      ['udp', 10_053],
    ],
  );
});
