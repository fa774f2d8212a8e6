import { ConversationFailure, converseWithRoot } from '../lib/line-protocol.ts';
import { BangerError } from '../model/errors.ts';
import { HELPER_CONFIG_PATH, HELPER_DEVICE_DIRECTORY, HELPER_RUN_DIRECTORY, JAIL_DIRECTORY, JAIL_PROGRAMS } from '../model/root-helper.ts';
import type { SetupMachine } from './machine.ts';
import type { SetupStep } from './steps.ts';
import { HELPER_PATH, SERVICE_UNIT, SOCKET_PATH, SOCKET_UNIT, unitPath } from './units.ts';

const RECORD_PATH = `${HELPER_RUN_DIRECTORY}/record`;
const ANSWER_TIMEOUT_MS = 20_000;

/** Sends one request to the helper. @returns why it failed, or undefined */
export type AskHelper = (request: string) => Promise<string | undefined>;

/**
 * @returns the steps after which nothing of setup is left
 * @throws (when run) BUSY while VMs use something of the helper
 */
export function uninstallSteps(machine: SetupMachine, withSystemd: boolean, ask: AskHelper = askHelper): SetupStep[] {
  const objects = async (): Promise<string[]> => ((await machine.read(RECORD_PATH)) ?? '').split('\n').filter((line) => line !== '');
  const gone = (path: string): SetupStep => ({
    title: `${path} is gone`,
    isDone: async () => !(await machine.exists(path)),
    apply: () => machine.remove(path),
  });
  const systemd: SetupStep[] = [
    {
      title: `${SOCKET_UNIT} and ${SERVICE_UNIT} are stopped and removed`,
      isDone: async () => !(await machine.exists(unitPath(SOCKET_UNIT))) && !(await machine.exists(unitPath(SERVICE_UNIT))),
      apply: async () => {
        await machine.must(['systemctl', 'disable', '--now', SOCKET_UNIT]);
        await machine.must(['systemctl', 'stop', SERVICE_UNIT]);
        for (const name of [SOCKET_UNIT, SERVICE_UNIT]) await machine.remove(unitPath(name));
        await machine.must(['systemctl', 'daemon-reload']);
      },
    },
  ];
  return [
    {
      title: 'no VM uses the helper',
      isDone: async () => {
        refuseInUse(await objects());
        return true;
      },
      apply: () => Promise.resolve(),
    },
    {
      title: 'the bridge and its rules are removed',
      isDone: async () => (await objects()).length === 0,
      apply: async () => {
        const problem = await ask('network down');
        if (problem === undefined) return;
        throw new BangerError('BUSY', `cannot take the network down: ${problem}`, { remedy: `systemctl status ${SERVICE_UNIT}` });
      },
    },
    ...(withSystemd ? systemd : []),
    ...[HELPER_CONFIG_PATH, HELPER_PATH, JAIL_PROGRAMS, JAIL_DIRECTORY, HELPER_RUN_DIRECTORY, HELPER_DEVICE_DIRECTORY].map(gone),
    {
      title: '/etc/banger is removed, if it is empty',
      isDone: async () => !(await machine.exists('/etc/banger')),
      apply: () => machine.removeEmpty('/etc/banger'),
    },
  ];
}

function refuseInUse(objects: readonly string[]): void {
  const used = objects.filter((line) => !line.startsWith('network '));
  if (used.length === 0) return;
  throw new BangerError('BUSY', `the helper holds ${used.length} object${used.length === 1 ? '' : 's'} of virtual machines`, {
    remedy: 'banger vm stop --all',
    details: { objects: used },
  });
}

async function askHelper(request: string): Promise<string | undefined> {
  try {
    const [reply] = await converseWithRoot(SOCKET_PATH, [request], ANSWER_TIMEOUT_MS);
    return reply?.ok === false ? reply.text : undefined;
  } catch (error) {
    if (error instanceof ConversationFailure) return `the helper does not answer (${error.message})`;
    throw error;
  }
}
