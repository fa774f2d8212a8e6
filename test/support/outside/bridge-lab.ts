// What the tests of the bridge share, inside their own host (network-lab.sh): the helper's process, functions to ask it,
// and snapshots of the host to compare.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { endProcess, type ProcessIdentity } from '../../../src/host/processes.ts';
import { run, spawnDetached } from '../../../src/host/spawn.ts';
import { helperAt } from '../daemon/helper-socket.ts';

const program = process.env['LAB_HELPER'] ?? '';
const directory = process.env['LAB_WORK'] ?? '';
/** Closed to others; otherwise clients refuse to believe that it is root's. */
const ownDirectory = join(directory, 'helper');
const socketPath = join(ownDirectory, 'helper.sock');
export const helperLog = join(directory, 'helper.log');
/** A user who may ask, besides root. */
export const OTHER_UID = 1001;

export type RunningHelper = { end(signal?: 'SIGKILL'): Promise<void> };

/** Starts the helper. @param fault AREA:N, the step that fails; needs a helper built for it */
export async function startHelper(fault?: string): Promise<RunningHelper> {
  const settings = join(directory, 'helper.conf');
  writeFileSync(settings, `allow ${OTHER_UID}\n`, { mode: 0o644 });
  mkdirSync(ownDirectory, { recursive: true, mode: 0o755 });
  rmSync(socketPath, { force: true });
  const env = fault === undefined ? {} : { BANGER_HELPER_FAULT: fault };
  const { identity } = await spawnDetached([program, 'serve', socketPath, join(directory, 'run'), settings], {
    outputPath: helperLog,
    env,
  });
  await until('the helper', async () => (await answers()) !== undefined);
  return { end: (signal) => endHelper(identity, signal) };
}

async function endHelper(identity: ProcessIdentity, signal: 'SIGKILL' | undefined): Promise<void> {
  assert.ok(await endProcess(identity, signal === 'SIGKILL' ? 0 : 2000));
}

async function answers(): Promise<string | undefined> {
  return askRaw('list').catch(() => undefined);
}

/** @returns the whole answer */
export function askRaw(request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(socketPath, () => socket.write(`${request}\n`));
    socket.setTimeout(10_000, () => socket.destroy(new Error('the helper does not answer')));
    socket.on('data', (chunk) => {
      text += chunk.toString();
      if (/(^|\n)(ok|error .*)\n$/.test(text)) socket.end(() => resolve(text));
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}

/** Asks as an ordinary user. @returns the last line of the answer */
export async function askAs(uid: number, request: string): Promise<string> {
  const argv = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', 'socat', '-t5', '-', `UNIX-CONNECT:${socketPath}`];
  return (await run(argv, { input: `${request}\n` })).stdout.trim().split('\n').at(-1) ?? '';
}

export const helper = helperAt(socketPath);

/** @returns everything on the host that banger may change: links, rules, forwarding and records */
export async function picture(): Promise<string> {
  const { stdout: links } = await run(['ip', '-j', 'link']);
  const { stdout: ruleset } = await run(['nft', 'list', 'ruleset']);
  const settings = 'grep -H . /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/*/forwarding';
  const { stdout: forwarding } = await run(['sh', '-c', settings]);
  // The kernel reports a pulled cable up to a second later.
  const settled = links.replaceAll(/"operstate":"\w+",|"NO-CARRIER",|,"LOWER_UP"/g, '');
  return [settled, ruleset, forwarding].join('\n');
}

/** @returns the names of banger's links, without those of the pool */
export async function ownLinks(): Promise<string[]> {
  const links = JSON.parse((await run(['ip', '-j', 'link'])).stdout) as { ifname: string }[];
  return links.map(({ ifname }) => ifname).filter((name) => name.startsWith('bgr-') && !name.startsWith('bgr-pool-'));
}

/** @returns the uid that may open a TAP, from the kernel, because `ip` prints the user's name if there is one */
export async function ownerOf(tap: string): Promise<number> {
  const look = `mount -t sysfs sysfs /sys && cat /sys/class/net/${tap}/owner`;
  return Number((await run(['unshare', '--mount', 'sh', '-c', look])).stdout);
}

export async function rules(): Promise<string> {
  return (await run(['nft', 'list', 'ruleset'])).stdout;
}

/** Waits for something that no event reports. @throws after half a minute */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await isSo())) {
    assert.ok(performance.now() < deadline, `waited too long for ${what}\n${readFileSync(helperLog, 'utf8').slice(-2000)}`);
    await sleep(20);
  }
}
