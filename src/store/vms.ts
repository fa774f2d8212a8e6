import type { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { Listeners } from '../lib/listeners.ts';
import { BangerError } from '../model/errors.ts';
import { isHidden } from '../model/hidden.ts';
import type { Known } from '../model/reference.ts';
import { assertMove, VM_STATES, type VmState } from '../model/vm-state.ts';
import type { Vm } from '../model/vm.ts';
import { forwardsSchema, keepAwakeSchema, labelsSchema, runtimeSchema, sleepSchema, specSchema } from './vm-schema.ts';

const rowSchema = z.object({
  id: z.string(),
  name: z.string(),
  state: z.enum(VM_STATES),
  image_id: z.string(),
  image_name: z.string(),
  spec: z.string(),
  network_index: z.number(),
  created_at: z.string(),
  started_at: z.string().nullable(),
  last_used_at: z.string().nullable(),
  runtime: z.string().nullable(),
  ssh_host_key: z.string().nullable(),
  last_error: z.string().nullable(),
  forwards: z.string(),
  labels: z.string(),
  sleep: z.string().nullable(),
  keep_awake: z.string().nullable(),
});

/** Members of a VM that change after its creation; the state changes only through `move`. */
export type VmChange = Partial<
  Pick<
    Vm,
    | 'name'
    | 'spec'
    | 'createdAt'
    | 'startedAt'
    | 'lastUsedAt'
    | 'runtime'
    | 'sleep'
    | 'keepAwake'
    | 'sshHostKey'
    | 'lastError'
    | 'forwards'
    | 'labels'
  >
>;

/** The VMs of this installation; every change is on disk when the call returns. */
export type VmStore = ReturnType<typeof createVmStore>;

/**
 * @param database opened by openDatabase
 * @param onChange gets every VM that was inserted or changed, once that is on disk
 */
export function createVmStore(database: DatabaseSync, onChange: (vm: Vm, before: Vm | undefined) => void = () => undefined) {
  const { all, selectIdByName, insert, update, remove } = prepare(database);
  // Only this process uses the database, so the cache is always valid: thousands of rows are parsed only at the start.
  let vms = new Map<string, Vm>();
  for (const row of all.all()) keep(toVm(row));
  let isSorted = true;
  const changes = new Listeners<string>();
  function keep(vm: Vm): Vm {
    vms.set(vm.id, Object.freeze(vm));
    return vm;
  }
  const find = (id: string): Vm | undefined => vms.get(id);
  const holderOf = (name: string): Vm | undefined => find(String(selectIdByName.get(name)?.['id']));
  const assertNameFree = (vm: Pick<Vm, 'id' | 'name'>): void => refuseNameOf(holderOf(vm.name), vm);
  const get = (id: string): Vm => find(id) ?? refuseGone(id);
  function write(present: Vm, change: Partial<Vm>): Vm {
    const vm = { ...present, ...change };
    assertNameFree(vm);
    update.run(vm.name, vm.state, JSON.stringify(vm.spec), vm.createdAt, ...laterColumns(vm), vm.id);
    isSorted &&= vm.createdAt === present.createdAt;
    keep(vm);
    onChange(vm, present);
    changes.tell(vm.id);
    return vm;
  }
  function listAll(): Vm[] {
    if (!isSorted) vms = new Map([...vms.values()].toSorted(byAge).map((vm) => [vm.id, vm]));
    isSorted = true;
    return [...vms.values()];
  }
  const seen = seenOf(find, holderOf, listAll);
  return {
    /** The VMs that users made, the oldest first; `seen` is where a user's reference is looked up. */
    ...{ seen, list: seen.list, findByName: seen.findByName },
    /** @returns also those that banger keeps for itself: for what concerns every VMM, disk, address or record of this host */
    listAll,
    /** Finds every VM, for callers that have its id from a record. */
    find,
    /** @throws NAME_TAKEN if another VM has the name */
    assertNameFree,
    networkIndexes: (): Set<number> => new Set(vms.values().map((vm) => vm.networkIndex)),
    /** @throws NAME_TAKEN */
    insert(vm: Vm): void {
      assertNameFree(vm);
      insert.run(...allColumns(vm));
      keep({ ...vm });
      isSorted = false;
      onChange(vm, undefined);
    },
    /** @returns the VM after the change. @throws NOT_FOUND, NAME_TAKEN */
    update: (id: string, change: VmChange): Vm => write(get(id), change),
    /**
     * The only way to change a VM's state.
     * @returns the VM after the move and the change
     * @throws NOT_FOUND; INTERNAL if the table of states does not allow the move
     */
    move(id: string, state: VmState, change: VmChange = {}): Vm {
      const present = get(id);
      assertMove(present, state);
      return write(present, { ...change, state });
    },
    remove(id: string): void {
      remove.run(id);
      vms.delete(id);
      changes.tell(id);
    },
    /** @param listener gets the id of every VM that changed or was removed @returns a function that removes the listener */
    onChange: (listener: (vmId: string) => void) => changes.add(listener),
  };
}

function prepare(database: DatabaseSync) {
  const columns =
    'id, name, state, image_id, image_name, spec, network_index, created_at, started_at, last_used_at, runtime, ssh_host_key, last_error, forwards, labels, sleep, keep_awake';
  return {
    all: database.prepare(`SELECT ${columns} FROM vms ORDER BY created_at, id`),
    selectIdByName: database.prepare('SELECT id FROM vms WHERE name = ?'),
    insert: database.prepare(`INSERT INTO vms (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),
    update: database.prepare(
      'UPDATE vms SET name = ?, state = ?, spec = ?, created_at = ?, started_at = ?, last_used_at = ?, runtime = ?, ssh_host_key = ?, last_error = ?, forwards = ?, labels = ?, sleep = ?, keep_awake = ? WHERE id = ?',
    ),
    remove: database.prepare('DELETE FROM vms WHERE id = ?'),
  };
}

type Find = (text: string) => Vm | undefined;

/** @returns what users see of all VMs */
function seenOf(find: Find, holderOf: Find, listAll: () => Vm[]): Known<Vm> & { list(): Vm[] } {
  const ifSeen = (vm: Vm | undefined): Vm | undefined => (vm !== undefined && isHidden(vm) ? undefined : vm);
  return {
    find: (id) => ifSeen(find(id)),
    findByName: (name) => ifSeen(holderOf(name)),
    list: () => listAll().filter((vm) => !isHidden(vm)),
  };
}

function refuseGone(id: string): never {
  throw new BangerError('NOT_FOUND', `the VM ${id} does not exist`);
}

function refuseNameOf(holder: Vm | undefined, { id, name }: Pick<Vm, 'id' | 'name'>): void {
  if (holder === undefined || holder.id === id) return;
  throw new BangerError('NAME_TAKEN', `there is already a VM named ${name}`, {
    remedy: `banger vm show ${name}`,
  });
}

function allColumns(vm: Vm): (string | number | null)[] {
  const { id, name, state, imageId, imageName, spec, networkIndex, createdAt } = vm;
  return [id, name, state, imageId, imageName, JSON.stringify(spec), networkIndex, createdAt, ...laterColumns(vm)];
}

/** The values of started_at, last_used_at, runtime, ssh_host_key, last_error, forwards, labels, sleep, keep_awake. */
function laterColumns(vm: Vm): (string | null)[] {
  return [
    vm.startedAt,
    vm.lastUsedAt,
    toJson(vm.runtime),
    vm.sshHostKey,
    vm.lastError,
    JSON.stringify(vm.forwards),
    JSON.stringify(vm.labels),
    toJson(vm.sleep),
    toJson(vm.keepAwake),
  ];
}

function toJson(value: unknown): string | null {
  return value === null ? null : JSON.stringify(value);
}

function byAge(one: Vm, other: Vm): number {
  return one.createdAt === other.createdAt ? (one.id < other.id ? -1 : 1) : one.createdAt < other.createdAt ? -1 : 1;
}

function toVm(raw: unknown): Vm {
  const row = rowSchema.parse(raw);
  return {
    id: row.id,
    name: row.name,
    state: row.state,
    imageId: row.image_id,
    imageName: row.image_name,
    spec: specSchema.parse(JSON.parse(row.spec)),
    networkIndex: row.network_index,
    createdAt: row.created_at,
    startedAt: row.started_at,
    lastUsedAt: row.last_used_at,
    runtime: row.runtime === null ? null : runtimeSchema.parse(JSON.parse(row.runtime)),
    sleep: row.sleep === null ? null : sleepSchema.parse(JSON.parse(row.sleep)),
    keepAwake: row.keep_awake === null ? null : keepAwakeSchema.parse(JSON.parse(row.keep_awake)),
    sshHostKey: row.ssh_host_key,
    lastError: row.last_error,
    forwards: forwardsSchema.parse(JSON.parse(row.forwards)),
    labels: labelsSchema.parse(JSON.parse(row.labels)),
  };
}
