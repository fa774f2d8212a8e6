import type { LifecycleServices } from '../../context/services.ts';
import type { Timer } from '../../context/timer.ts';
import { cloneSource } from '../../context/clone-source.ts';
import { runSteps } from '../../context/pipeline.ts';
import { makeContext } from '../../context/vm-context.ts';
import { messageOf } from '../../lib/message-of.ts';
import { hiddenName } from '../../model/hidden.ts';
import { completeSpec } from '../../model/settings/complete.ts';
import type { Vm } from '../../model/vm.ts';
import { preflight } from '../health/preflight.ts';
import { discard, hiddenVms } from '../hidden.ts';
import { cloneLife } from '../template/clone.ts';
import { shapeOf } from '../template/shape.ts';
import { findTemplate, SHAPE, touchTemplate } from '../template/templates.ts';
import { insertNew, newRecord } from '../vm/record.ts';
import { spareSteps } from './spare-steps.ts';

/** After a creation its user has the next moment to himself. */
const CALM_MS = 250;
const FIRST_RETRY_MS = 60_000;
const LONGEST_RETRY_MS = 3_600_000;

export type PoolOptions = {
  services: LifecycleServices;
  timer: Timer;
};

/** How many spares there are, of how many; and why there are less. */
export type PoolState = { ready: number; wanted: number; problem: string | null };

/** Keeps spares for the next creations of the default shape: one is made after the other, in the background. */
export class Pool {
  readonly #options: PoolOptions;
  readonly #ending = new AbortController();
  #work: Promise<void> = Promise.resolve();
  #disarm: (() => void) | undefined;
  #problem: string | null = null;
  #failures = 0;

  constructor(options: PoolOptions) {
    this.#options = options;
    const { records } = options.services.vms;
    records.onChange((id) => {
      if (this.#wanted() > 0 && records.find(id)?.state === 'template') this.look();
    });
  }

  /** Call after everything that may have changed how many there are, or can be. */
  look(): void {
    // After a failure, the time that was set then counts.
    if (this.#wanted() === 0 || this.#disarm !== undefined || this.#ending.signal.aborted) return;
    this.#lookIn(CALM_MS);
  }

  state(): PoolState {
    return { ready: this.#spares().filter(({ state }) => state === 'spare').length, wanted: this.#wanted(), problem: this.#problem };
  }

  /** Removes all spares: they are worth nothing to another daemon. */
  async end(): Promise<void> {
    this.#ending.abort();
    this.#disarm?.();
    await this.#work;
    await this.#discard(this.#spares());
  }

  #lookIn(ms: number): void {
    this.#disarm = this.#options.timer(() => {
      this.#work = this.#fill().then((retryMs) => {
        this.#disarm = undefined;
        if (retryMs !== undefined && !this.#ending.signal.aborted) this.#lookIn(retryMs);
      });
    }, ms);
  }

  #wanted(): number {
    const { enabled, pool } = this.#options.services.settings.templates;
    return enabled ? pool : 0;
  }

  #spares(): Vm[] {
    return hiddenVms(this.#options.services).filter(({ name }) => name.startsWith('spare.'));
  }

  async #discard(spares: readonly Vm[]): Promise<void> {
    await Promise.all(spares.map((vm) => discard(this.#options.services, vm)));
  }

  /** @returns when to look again, if there is a reason */
  async #fill(): Promise<number | undefined> {
    const { services } = this.#options;
    try {
      // The end of the last operation calls again.
      while (!this.#ending.signal.aborted && !services.operations.list().some(({ state }) => state === 'running')) {
        if (await this.#isEnough()) break;
      }
      this.#failures = 0;
      return undefined;
    } catch (error) {
      if (this.#ending.signal.aborted) return undefined;
      this.#problem = messageOf(error);
      services.world.warn('no spare VM could be made', { reason: this.#problem });
      return Math.min(FIRST_RETRY_MS * 2 ** this.#failures++, LONGEST_RETRY_MS);
    }
  }

  /** Removes what nobody wants any more, or makes one spare. @returns whether there is nothing left to do */
  async #isEnough(): Promise<boolean> {
    const { services } = this.#options;
    const image = await services.images.resolve(undefined);
    const spec = completeSpec(services.settings.defaultSpec, {}, image);
    const shape = await shapeOf(services, image, spec);
    const spares = this.#spares();
    const outdated = spares.filter(({ labels, imageName }) => labels[SHAPE] !== shape || imageName !== image.name);
    const isShort = (await services.world.processes.availableMemoryBytes()) < spec.memoryMib * 1024 ** 2;
    await this.#discard(isShort ? spares : outdated);
    this.#problem = isShort ? 'the host has no memory for another VM' : null;
    const template = findTemplate(services, shape);
    if (isShort || template === undefined || spares.length - outdated.length >= this.#wanted()) return true;
    await preflight(services, 'vm create', { image });
    await this.#make(template, spec);
    return false;
  }

  async #make(template: Vm, spec: Vm['spec']): Promise<void> {
    const { services } = this.#options;
    const { signal } = this.#ending;
    const { imageId: id, imageName: name, labels } = template;
    const vm = newRecord(services, { name: (one) => hiddenName('spare', one), image: { id, name }, spec, labels });
    insertNew(services, vm);
    try {
      const context = makeContext(services, vm);
      cloneSource.set(context, template);
      const steps = spareSteps(cloneLife());
      await services.vms.locks.hold(vm.id, signal, () => runSteps({ steps, context, journal: () => undefined, signal }));
      touchTemplate(services, template);
    } catch (error) {
      await discard(services, vm);
      await services.world.files.removeTree(services.vms.pathsOf(vm).logDirectory);
      throw error;
    }
  }
}
