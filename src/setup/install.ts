import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BangerError } from '../model/errors.ts';
import { HELPER_CONFIG_PATH, JAIL_PROGRAMS } from '../model/root-helper.ts';
import type { SetupMachine } from './machine.ts';
import type { SetupStep } from './steps.ts';
import { HELPER_PATH, helperConfig, SERVICE_UNIT, serviceUnit, SOCKET_UNIT, socketUnit, unitPath } from './units.ts';

export type InstallOptions = {
  /** The built banger-helper, which is copied: only root may change programs that root runs. */
  helper: Uint8Array;
  uids: readonly number[];
  /** firecracker and jailer of one version, for VMs in jails. */
  jailPrograms?: { firecracker: Uint8Array; jailer: Uint8Array };
  withSystemd: boolean;
};

/** @returns the steps after which the helper serves these users */
export function installSteps(machine: SetupMachine, options: InstallOptions): SetupStep[] {
  // A running helper keeps its old program until it is restarted.
  let isProgramNew = false;
  const file = (path: string, content: string | Uint8Array, mode: number): SetupStep => ({
    title: path,
    isDone: () => machine.holds(path, Buffer.from(content), mode),
    apply: () => machine.write(path, content, mode),
  });
  const program = file(HELPER_PATH, options.helper, 0o755);
  const units: readonly [string, string][] = [
    [SOCKET_UNIT, socketUnit()],
    [SERVICE_UNIT, serviceUnit()],
  ];
  const systemd: SetupStep[] = [
    {
      title: units.map(([name]) => unitPath(name)).join(', '),
      isDone: async () =>
        (await Promise.all(units.map(([name, text]) => machine.holds(unitPath(name), Buffer.from(text), 0o644)))).every(Boolean),
      apply: async () => {
        for (const [name, text] of units) await machine.write(unitPath(name), text, 0o644);
        await machine.must(['systemctl', 'daemon-reload']);
        isProgramNew = true;
      },
    },
    {
      title: `${SOCKET_UNIT} enabled and listening`,
      isDone: async () =>
        (await machine.succeeds(['systemctl', 'is-enabled', '--quiet', SOCKET_UNIT])) &&
        (await machine.succeeds(['systemctl', 'is-active', '--quiet', SOCKET_UNIT])),
      apply: async () => void (await machine.must(['systemctl', 'enable', '--now', SOCKET_UNIT])),
    },
    {
      title: `${SERVICE_UNIT} of this program, if it runs`,
      isDone: () => Promise.resolve(!isProgramNew),
      apply: async () => void (await machine.must(['systemctl', 'try-restart', SERVICE_UNIT])),
    },
  ];
  return [
    {
      ...program,
      apply: async () => {
        await program.apply();
        isProgramNew = true;
      },
    },
    {
      title: `${HELPER_CONFIG_PATH}: ${options.uids.length === 0 ? 'nobody but root' : `users ${options.uids.join(', ')}`} may ask`,
      isDone: async () => {
        const present = await machine.read(HELPER_CONFIG_PATH);
        return present !== undefined && machine.holds(HELPER_CONFIG_PATH, Buffer.from(helperConfig(present, options.uids)), 0o644);
      },
      apply: async () => machine.write(HELPER_CONFIG_PATH, helperConfig(await machine.read(HELPER_CONFIG_PATH), options.uids), 0o644),
    },
    ...Object.entries(options.jailPrograms ?? {}).map(([name, content]) => file(join(JAIL_PROGRAMS, name), content, 0o755)),
    ...(options.withSystemd ? systemd : []),
  ];
}

/**
 * Reads the helper of this program: beside it in a checkout and in an installed package.
 * @throws PREREQUISITE_MISSING
 */
export async function readBuiltHelper(programPath: string): Promise<Uint8Array> {
  const root = dirname(dirname(programPath));
  const path = join(root, 'native/helper/build/banger-helper');
  try {
    return await readFile(path);
  } catch (error) {
    throw new BangerError('PREREQUISITE_MISSING', `there is no ${path}`, {
      remedy: `make -C ${join(root, 'native/helper')}`,
      cause: error,
    });
  }
}

/**
 * Turns the value of --user into numbers.
 * @throws INVALID_INPUT for a name that this host does not know, and for root, which needs no entry
 */
export async function resolveUsers(machine: SetupMachine, named: readonly string[]): Promise<number[]> {
  const uids = [];
  for (const name of named) {
    const text = /^\d{1,9}$/.test(name) ? name : await lookUp(machine, name);
    const uid = Number(text);
    if (uid > 0) uids.push(uid);
    else throw new BangerError('INVALID_INPUT', `root needs no entry in ${HELPER_CONFIG_PATH}`, { remedy: 'name an ordinary user' });
  }
  return uids;
}

async function lookUp(machine: SetupMachine, name: string): Promise<string> {
  const isName = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/.test(name);
  if (!isName || !(await machine.succeeds(['id', '-u', name]))) {
    throw new BangerError('INVALID_INPUT', `there is no user ${JSON.stringify(name)}`, {
      remedy: 'use a name from getent passwd, or a uid',
    });
  }
  return (await machine.must(['id', '-u', name])).trim();
}

/** Type of the program header that names the loader of shared libraries. */
const PT_INTERP = 3;

/**
 * Reads the programs for jails.
 * @throws USAGE if only one is named, PREREQUISITE_MISSING if one is unreadable, is no program, or cannot run in a jail
 */
export async function readJailPrograms(paths: {
  firecracker?: string | undefined;
  jailer?: string | undefined;
}): Promise<NonNullable<InstallOptions['jailPrograms']> | undefined> {
  const { firecracker, jailer } = paths;
  if (firecracker === undefined && jailer === undefined) return undefined;
  if (firecracker === undefined || jailer === undefined) {
    throw new BangerError('USAGE', '--firecracker and --jailer go together', { remedy: 'give both, of one version' });
  }
  const programs = { firecracker: await readProgram(firecracker), jailer: await readProgram(jailer) };
  if (!hasInterpreter(programs.firecracker)) return programs;
  throw new BangerError('PREREQUISITE_MISSING', `${firecracker} needs shared libraries, which a jail does not have`, {
    remedy: 'banger bundle fetch firecracker',
  });
}

/** @param elf an ELF64 file (elf(5)), little-endian @returns whether it needs a loader for shared libraries */
function hasInterpreter(elf: Buffer): boolean {
  if (elf.length < 64) return false;
  const [tableAt, entryBytes, count] = [Number(elf.readBigUInt64LE(32)), elf.readUInt16LE(54), elf.readUInt16LE(56)];
  const types = Array.from({ length: count }, (_, index) => tableAt + index * entryBytes);
  return types.some((at) => at + 4 <= elf.length && elf.readUInt32LE(at) === PT_INTERP);
}

async function readProgram(path: string): Promise<Buffer> {
  const content = await readFile(path).catch((cause: unknown) => {
    throw new BangerError('PREREQUISITE_MISSING', `${path} cannot be read`, { remedy: 'banger bundle fetch firecracker', cause });
  });
  if (content.toString('latin1', 0, 4) === '\x7fELF') return content;
  throw new BangerError('PREREQUISITE_MISSING', `${path} is not a program`, { remedy: 'banger bundle fetch firecracker' });
}
