// The random walk with real VMs: verbs through the built CLI; kill -9 and SIGSTOP for daemon and VMMs, fresh daemons, a bundle that
// moves away, programs that are not there, and full disks in guests. For minutes, not for every change: `make soak`,
// `MINUTES=60 make soak`, `SEED=n make soak`. It ends with what was lost, what leaked and which recoveries failed: 0 of each.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Operation, VmView } from '../../src/api/schemas.ts';
import { eventually, guest } from '../support/machine/e2e.ts';
import { processesOf } from '../support/machine/leak-check.ts';
import { describeState } from '../support/machine/post-mortem.ts';
import { createSandbox, type Sandbox } from '../support/machine/sandbox.ts';
import { type Answer, assertExplained } from './model.ts';
import { failedRecoveries, FULL, Nemesis, ownBundle, Toll } from './nemesis.ts';
import { type Burst, burstsOf, describeBurst, type Misfortune, type Move } from './plan.ts';

const CONFIG = `stop_grace_seconds = 1

[defaults]
vcpu = 1
memory = "512M"
disk_size = "1G"
`;
const VM_COUNT = 3;
/** What a count of effects is in time, about. */
const MS_PER_EFFECT = 30;
const QUIET_TIMEOUT_MS = 180_000;

const seed = Number(process.env['SEED'] ?? process.env['BANGER_SEED'] ?? randomInt(2 ** 31));
const minutes = Number(process.env['MINUTES'] ?? 10);

async function soak(): Promise<void> {
  console.log(`soak: SEED=${seed}, ${minutes} minutes, ${VM_COUNT} VMs`);
  const bundle = ownBundle();
  const sandbox = await createSandbox({ config: CONFIG, env: { BANGER_BUNDLE: bundle.path } });
  const deadline = performance.now() + minutes * 60_000;
  const toll = new Toll();
  const nemesis = new Nemesis(sandbox, bundle.path);
  const walker = new Soak({ sandbox, toll, nemesis });
  let verbs = 0;
  try {
    for (const burst of burstsOf(seed, VM_COUNT, 2)) {
      if (performance.now() > deadline) break;
      const took = await walker.step(burst);
      verbs += burst.moves.length;
      console.log(`${verbs}. ${describeBurst(burst)} → ${took}`);
    }
  } catch (error) {
    console.error(`soak: SEED=${seed} fails after ${verbs} verbs`);
    console.error(await describeState(sandbox));
    throw error;
  } finally {
    nemesis.relent();
    await toll.take('leaked', () => sandbox.close());
    bundle.remove();
    console.log(`soak: ${toll.text}; ${verbs} verbs, SEED=${seed}`);
  }
  if (!toll.isClear) process.exitCode = 1;
}

class Soak {
  readonly #sandbox: Sandbox;
  readonly #toll: Toll;
  readonly #nemesis: Nemesis;
  #vms: VmView[] = [];
  /** VMs that carry marks on both disks. */
  readonly #marked = new Set<string>();

  constructor(parts: { sandbox: Sandbox; toll: Toll; nemesis: Nemesis }) {
    this.#sandbox = parts.sandbox;
    this.#toll = parts.toll;
    this.#nemesis = parts.nemesis;
  }

  /** @returns the answers and the states, for people */
  async step(burst: Burst): Promise<string> {
    await this.#nemesis.prepare(burst.misfortune, this.#vms);
    const over = new AbortController();
    const misfortune = this.#strike(burst.misfortune, over.signal);
    const answers = await Promise.all(burst.moves.map((move) => this.#answer(move, burst.misfortune)));
    over.abort();
    await misfortune;
    await this.#nemesis.makeUp(burst.misfortune);
    const vms = await this.#quiesce();
    const what = describeBurst(burst);
    await this.#toll.take('lost', () => assertExplained(this.#vms, vms, burst, answers), what);
    await this.#toll.take('leaked', () => this.#assertProcessesAndFiles(vms), what);
    for (const vm of vms) if (vm.state === 'running') await this.#toll.take('lost', () => this.#checkMarks(vm), what);
    this.#toll.failedRecoveries = failedRecoveries(this.#sandbox);
    this.#vms = vms;
    return `${answers.map(({ end }) => end).join(', ')}; ${vms.map(({ name, state }) => `${name} ${state}`).join(', ')}`;
  }

  #pids(of: 'bangerd.cjs' | 'qemu-system'): number[] {
    const isOne = of === 'qemu-system' ? /^\S*qemu-system\S* .*-name guest=/ : /bangerd\.cjs/;
    return processesOf(this.#sandbox.scope).flatMap(({ pid, command }) => (isOne.test(command) ? pid : []));
  }

  async #strike(misfortune: Misfortune, over: AbortSignal): Promise<void> {
    if (!('at' in misfortune)) return;
    await sleep(misfortune.at * MS_PER_EFFECT, undefined, { signal: over }).catch(() => undefined);
    if (misfortune.kind === 'kill daemon') {
      for (let death = 0; death <= misfortune.again; death++) {
        for (const pid of this.#pids('bangerd.cjs')) signal(pid, 'SIGKILL');
        await sleep(200);
      }
    }
    if (misfortune.kind === 'kill VMM' || misfortune.kind === 'stop VMM') {
      const pid = this.#vms.find(({ name }) => name === misfortune.name)?.pid ?? null;
      // What the list said may be over by now, and the pid another's.
      if (pid === null || !this.#pids('qemu-system').includes(pid)) return;
      signal(pid, misfortune.kind === 'kill VMM' ? 'SIGKILL' : 'SIGSTOP');
    }
  }

  async #answer(move: Move, { kind }: Misfortune): Promise<Answer> {
    const { verb, name } = move;
    const existed = this.#vms.some((vm) => vm.name === name);
    const { status } = await this.#sandbox.banger(['vm', ...argvOf(move)], { timeoutMs: QUIET_TIMEOUT_MS });
    assert.notEqual(status, null, `${verb} ${name} hangs`);
    if (status === 0) return { ...move, end: 'done' };
    if (status === 3) return { ...move, end: 'NOT_FOUND' };
    if ((verb === 'create' || verb === 'fork') && existed) return { ...move, end: 'NAME_TAKEN' };
    // Failed, or nobody answered any more: the status does not tell.
    return { ...move, end: kind === 'none' ? 'failed' : 'lost' };
  }

  /** @returns the VMs when nothing is under way any more */
  async #quiesce(): Promise<VmView[]> {
    for (const pid of this.#pids('qemu-system')) signal(pid, 'SIGCONT');
    const json = async (...args: string[]): Promise<unknown> => JSON.parse(await this.#sandbox.must([...args, '-o', 'json']));
    await eventually(
      'the end of all operations',
      () => json('operation', 'list') as Promise<Operation[]>,
      (operations) => operations.every(({ state }) => state !== 'running'),
      QUIET_TIMEOUT_MS,
    );
    const list = () => json('vm', 'list') as Promise<VmView[]>;
    for (const { name, state, lastError } of await list()) {
      if (state === 'error') await this.#sandbox.must(['vm', 'kill', name]);
      if (state === 'deleting') await this.#sandbox.must(['vm', 'delete', '--yes', name]);
      // One that was left alone is adopted by it.
      if (state === 'running' && lastError !== null) await this.#sandbox.must(['vm', 'start', name]);
    }
    // A VMM that was killed is noticed a moment later.
    return eventually('quiet', list, (vms) => vms.every((vm) => this.#isSettled(vm)), QUIET_TIMEOUT_MS);
  }

  #isSettled({ state, pid }: VmView): boolean {
    if (state === 'stopped' || state === 'suspended') return pid === null;
    return (state === 'running' || state === 'paused') && pid !== null && this.#pids('qemu-system').includes(pid);
  }

  /** One VMM for each VM that runs, one directory for each that exists. */
  #assertProcessesAndFiles(vms: readonly VmView[]): void {
    const running = vms.flatMap(({ pid }) => pid ?? []);
    assert.deepEqual(new Set(this.#pids('qemu-system')), new Set(running));
    const directory = join(this.#sandbox.directory, 'state/vms');
    // Made with the first VM.
    assert.deepEqual(new Set(existsSync(directory) ? readdirSync(directory) : []), new Set(vms.map(({ id }) => id)));
  }

  async #checkMarks({ id, name }: VmView): Promise<void> {
    const { sh } = guest(this.#sandbox, name);
    await sh(`rm -f ${FULL.join(' ')}`);
    if (!this.#marked.has(id)) await sh(`echo ${id} | tee /root/mark >/etc/mark; sync`);
    this.#marked.add(id);
    assert.equal(await sh('cat /root/mark /etc/mark'), `${id}\n${id}`, `${name} lost what was written to it`);
  }
}

function argvOf({ verb, name, of = name }: Move): string[] {
  if (verb === 'fork') return [verb, of, name];
  if (verb === 'create') return [verb, '--name', name];
  if (verb === 'delete') return [verb, '--force', name];
  return verb === 'discard' ? ['start', '--discard-memory', name] : [verb, name];
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself meanwhile.
  }
}

await soak();
