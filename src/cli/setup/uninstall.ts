import { connect } from 'node:net';
import { BangerError } from '../../model/errors.ts';
import type { SetupMachine } from './machine.ts';
import type { SetupStep } from './steps.ts';
import { CONFIG_PATH, HELPER_PATH, RUN_DIRECTORY, SERVICE_UNIT, SOCKET_PATH, SOCKET_UNIT, unitPath } from './units.ts';

const RECORD_PATH = `${RUN_DIRECTORY}/record`;
const DEVICE_DIRECTORY = '/dev/banger';
const ANSWER_TIMEOUT_MS = 20_000;

/** Sends one request to the helper. @returns its answer */
export type AskHelper = (request: string) => Promise<string>;

/**
 * @returns what has to be so that nothing of setup is left
 * @throws (when run) BUSY while VMs have something from the helper
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
      title: `${SOCKET_UNIT} and ${SERVICE_UNIT} are stopped and gone`,
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
      title: 'no VM has anything from the helper',
      isDone: async () => {
        refuseInUse(await objects());
        return true;
      },
      apply: () => Promise.resolve(),
    },
    {
      title: 'the bridge and its rules are gone',
      isDone: async () => (await objects()).length === 0,
      apply: async () => {
        const answer = (await ask('network down')).trim().split('\n').at(-1) ?? '';
        if (answer !== 'ok') throw new BangerError('BUSY', `the network does not go down: ${answer}`, { remedy: 'banger vm stop --all' });
      },
    },
    ...(withSystemd ? systemd : []),
    ...[CONFIG_PATH, HELPER_PATH, RUN_DIRECTORY, DEVICE_DIRECTORY].map(gone),
    {
      title: '/etc/banger is gone, if it is empty',
      isDone: async () => !(await machine.exists('/etc/banger')),
      apply: () => machine.removeEmpty('/etc/banger'),
    },
  ];
}

function refuseInUse(objects: readonly string[]): void {
  const used = objects.filter((line) => !line.startsWith('network '));
  if (used.length === 0) return;
  throw new BangerError('BUSY', `the helper holds ${used.length} object${used.length === 1 ? '' : 's'} of virtual machines`, {
    remedy: 'as each user: banger vm stop --all',
    details: { objects: used },
  });
}

function askHelper(request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const fail = (reason: string): void =>
      reject(new BangerError('COMMAND_FAILED', `the helper does not answer: ${reason}`, { remedy: `systemctl status ${SERVICE_UNIT}` }));
    const socket = connect(SOCKET_PATH, () => socket.write(`${request}\n`));
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => socket.destroy(new Error('it takes too long')));
    socket.on('data', (chunk) => {
      answer += chunk.toString();
      if (/(^|\n)(ok|error .*)\n$/.test(answer)) socket.end(() => resolve(answer));
    });
    socket.on('error', (error) => fail(error.message));
    socket.on('close', () => fail('it closed the connection'));
  });
}
