import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BangerError } from '../../../model/errors.ts';
import { addressesOf } from '../../../model/network.ts';
import type { Machine } from '../../hypervisor/contract.ts';
import type { LineReply } from '../../../lib/line-protocol.ts';
import type { Forwarder } from '../forwarder-process.ts';
import { networkConformance } from '../conformance.ts';
import { judgeNetwork } from './checks.ts';
import { createBridgeNetwork } from './driver.ts';
import type { BridgeHelper } from './helper-list.ts';
import { parseList } from './helper-list.ts';

const never = new AbortController().signal;
const vm = (index: number, nat = true) => ({ shortId: index.toString(16).padStart(8, '0'), addresses: addressesOf(index), nat });

/** The helper's part of the protocol that this driver speaks, in memory. */
function memoryHelper(): BridgeHelper & { taps: Map<string, string>; others: number; isUp: boolean } {
  const helper = {
    taps: new Map<string, string>(),
    others: 0,
    isUp: false,
    ask: async (request: string): Promise<string[]> => {
      const [noun = '', verb = '', id = '', ...values] = request.split(' ');
      if (noun === 'hello') return ['hello version=1 uid=1000 directory=/run/banger/users/1000'];
      if (noun === 'list') {
        const taps = [...helper.taps].map(([name, text]) => `tap ${name} uid=1000 ${text}`);
        taps.push(...Array.from({ length: helper.others }, () => 'tap ffffffff uid=1001 index=9 nat'));
        return ['network up uplink=eth0 resolver=192.0.2.53 dropped-by=-', 'pool idle=4 of=4', ...taps];
      }
      if (noun === 'tap' && verb === 'add') helper.taps.set(id, `index=${values.join(' ')}`);
      else if (noun === 'tap') assert.ok(helper.taps.delete(id) || id !== 'ffffffff');
      else if (verb === 'down' && helper.taps.size + helper.others > 0) {
        throw new BangerError('NETWORK_FAILED', 'a TAP is on it', { details: { errno: 'EBUSY' } });
      }
      helper.isUp = request !== 'network down';
      return [];
    },
  };
  return helper;
}

/** The forwarder's part of the protocol that this driver speaks, in memory. */
function memoryForwarder(): Forwarder & { listeners: Set<string>; isThere: boolean } {
  const info = { innerPid: 2, outerPid: 2 };
  const answer = (request: string): LineReply => {
    const [verb = '', ...words] = request.split(' ');
    if (verb === 'publish') forwarder.listeners.add(words.join(' '));
    const isMeant = (line: string): boolean =>
      (verb === 'unlisten' && line.startsWith(words.join(' '))) || (verb === 'forget' && line.includes(` ${words[0]} `));
    for (const line of forwarder.listeners) if (isMeant(line)) forwarder.listeners.delete(line);
    return { ok: true, lines: verb === 'list' ? [...forwarder.listeners].map((line) => `listen ${line}`) : [] };
  };
  const forwarder = {
    listeners: new Set<string>(),
    isThere: false,
    logPath: '',
    ask: async (requests: readonly string[]) => requests.map(answer),
    find: async () => (forwarder.isThere ? info : undefined),
    ensure: async () => {
      forwarder.isThere = true;
      return info;
    },
    end: async () => {
      forwarder.isThere = false;
      forwarder.listeners.clear();
    },
  };
  return forwarder;
}

const host = { readWriteProblem: () => Promise.resolve(undefined), portProblem: () => Promise.resolve(undefined) };
const driverOf = (helper: BridgeHelper, forwarder: Forwarder = memoryForwarder()) => createBridgeNetwork({ host, helper, forwarder });

describe('the bridge driver with a helper in memory', () => {
  const helper = memoryHelper();
  const forwarder = memoryForwarder();
  networkConformance('bridge', {
    open: () => driverOf(helper, forwarder),
    machine: {} as Machine,
    remains: async () => [...[...helper.taps.keys()].map((id) => `bgr-${id}`), ...forwarder.listeners],
  });
});

test('NAT is the last word of the request that attaches, so it changes without another (6.2)', async () => {
  const helper = memoryHelper();
  const driver = driverOf(helper);
  const { network, commandPrefix } = await driver.attach(vm(258, false), never);
  assert.deepEqual([network.kind, commandPrefix, [...helper.taps]], ['tap', [], [['00000102', 'index=258 closed']]]);
  await driver.setNat?.(vm(258));
  assert.deepEqual([...helper.taps], [['00000102', 'index=258 nat']]);
});

test('only a forward starts the forwarder, and the last VM ends it (6.2)', async () => {
  const forwarder = memoryForwarder();
  const driver = driverOf(memoryHelper(), forwarder);
  await driver.attach(vm(2), never);
  const own = { protocol: 'tcp' as const, port: 80 };
  assert.equal((await driver.setForwards(vm(2), [own], {} as Machine))[0]?.hostPort, 80);
  assert.equal(forwarder.isThere, false);
  await driver.setForwards(vm(2), [own, { ...own, at: { address: '127.0.0.1', port: 8080 } }], {} as Machine);
  assert.deepEqual([...forwarder.listeners], ['tcp 127.0.0.1 8080 10.213.0.2 80']);
  await driver.sweep([vm(3)]);
  assert.deepEqual([forwarder.isThere, [...forwarder.listeners]], [true, []]);
  await driver.sweep([]);
  assert.equal(forwarder.isThere, false);
});

test('without a forwarder the VM stays reachable, and the forward says why it is not there (6.2)', async () => {
  const refuse = () => Promise.reject(new BangerError('PREREQUISITE_MISSING', 'it could not be started'));
  const driver = driverOf(memoryHelper(), { ...memoryForwarder(), ensure: refuse });
  const own = { protocol: 'tcp' as const, port: 80 };
  const results = await driver.setForwards(vm(2), [own, { ...own, at: { address: '127.0.0.1', port: 8080 } }], {} as Machine);
  assert.deepEqual(
    results.map(({ hostPort, problem }) => [hostPort, problem]),
    [
      [80, undefined],
      [null, 'it could not be started'],
    ],
  );
});

test('a sweep leaves the bridge to other users, and takes it down after the last (6.2)', async () => {
  const helper = memoryHelper();
  const driver = driverOf(helper);
  await driver.attach(vm(2), never);
  helper.others = 1;
  await driver.sweep([]);
  assert.deepEqual([helper.taps.size, helper.isUp], [0, true], "nobody else's is asked for");
  helper.others = 0;
  await driver.sweep([]);
  assert.equal(helper.isUp, false);
});

test('a failure of the helper other than "in use" is reported (6.2)', async () => {
  const broken = { ask: () => Promise.reject(new BangerError('NETWORK_FAILED', 'no', { details: { errno: 'EPERM' } })) };
  await assert.rejects(driverOf(broken).sweep([]), { code: 'NETWORK_FAILED' });
});

test('checks say what guests will miss and what mends it (6.2, 9.3)', () => {
  const line = (rest: string) => judgeNetwork(parseList([`network up ${rest}`])).map(({ name, level }) => `${level} ${name}`);
  assert.deepEqual(line('uplink=eth0 resolver=192.0.2.53 dropped-by=-'), []);
  assert.deepEqual(line('uplink=- resolver=- dropped-by=ip/filter/FORWARD'), [
    'warn network.bridge.uplink',
    'warn network.bridge.names',
    'warn network.bridge.forward',
  ]);
  const [drop] = judgeNetwork(parseList(['network up uplink=eth0 resolver=192.0.2.53 dropped-by=ip/filter/FORWARD']));
  assert.match(drop?.remedy ?? '', /nft insert rule ip filter FORWARD iifname bgr-bridge accept/);
  const taps = ['tap 00000009 uid=1000 index=9 nat cut-off', 'tap 0000000a uid=1000 index=10 nat'];
  const [cut] = judgeNetwork(parseList(['network up uplink=eth0 resolver=192.0.2.53 dropped-by=-', ...taps]));
  assert.match(`${cut?.name} ${cut?.reason}`, /^network\.bridge\.tap bgr-00000009 took the hardware address/);
});

test('checks fail with the way to a helper when none answers, and when TAPs cannot be opened (6.2, 9.3)', async () => {
  const absent = {
    ask: () => Promise.reject(new BangerError('PREREQUISITE_MISSING', 'the root helper does not answer', { remedy: 'sudo banger setup' })),
  };
  const [missing] = (await driverOf(absent).checks()).findings;
  assert.deepEqual([missing?.level, missing?.remedy], ['fail', 'sudo banger setup']);
  const closed = { ...host, readWriteProblem: () => Promise.resolve('EACCES') };
  const { findings } = await createBridgeNetwork({ host: closed, helper: memoryHelper(), forwarder: memoryForwarder() }).checks();
  const [tun] = findings;
  assert.deepEqual([tun?.level, tun?.name], ['fail', 'network.bridge']);
  const [works] = (await driverOf(memoryHelper()).checks()).findings;
  assert.equal(works?.level, 'pass');
});
