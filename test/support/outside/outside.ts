// An outside world on one machine: a network namespace for banger whose only way out is a veth to a fake host that answers
// HTTP on 198.51.100.1 (TEST-NET-2, RFC 5737). A test of outbound traffic sends no packet beyond the machine. Needs root.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';

export const OUTSIDE_ADDRESS = '198.51.100.1';
export const OUTSIDE_BODY = 'greetings from outside\n';

export type Outside = {
  /** Before a command, it runs the command as root in the namespace with the fake outside; it execs. */
  commandPrefix: readonly string[];
  /** Ends the responder and removes both namespaces with all their links. Processes inside must have ended. Idempotent. */
  close(): Promise<void>;
};

/** A proxy in the outside world that leads every CONNECT to port 443 of that host, for any name. */
export const OUTSIDE_PROXY = `http://${OUTSIDE_ADDRESS}:3128`;

/** The key and certificate of the outside host for https. */
export type OutsideTls = { key: string; cert: string };

const responder = (tls: OutsideTls | undefined): string => `
  const answer = (request, response) => response.end(${JSON.stringify(OUTSIDE_BODY)});
  const secure = require('node:https').createServer(${JSON.stringify(tls ?? {})}, answer).listen(443, '${OUTSIDE_ADDRESS}');
  require('node:http').createServer().on('connect', (request, socket) => {
    const there = require('node:net').connect(443, '${OUTSIDE_ADDRESS}', () => socket.write('HTTP/1.1 200 Connected\\r\\n\\r\\n'));
    socket.pipe(there).pipe(socket);
    for (const end of [socket, there]) end.on('error', () => undefined);
  }).listen(3128, '${OUTSIDE_ADDRESS}');
  require('node:http').createServer(answer).listen(80, '${OUTSIDE_ADDRESS}', () => console.log('up'));`;

/** @returns the commands that make both namespaces; names of links are local to them, so tests can run side by side. */
export function outsideCommands(inner: string, outer: string): string[][] {
  const inside = ['-n', inner];
  const outside = ['-n', outer];
  return [
    ['netns', 'add', inner],
    ['netns', 'add', outer],
    [...inside, 'link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'downlink', 'netns', outer],
    [...inside, 'address', 'add', '192.0.2.2/24', 'dev', 'uplink'],
    [...outside, 'address', 'add', '192.0.2.1/24', 'dev', 'downlink'],
    [...outside, 'address', 'add', `${OUTSIDE_ADDRESS}/32`, 'dev', 'lo'],
    [...inside, 'link', 'set', 'lo', 'up'],
    [...outside, 'link', 'set', 'lo', 'up'],
    [...inside, 'link', 'set', 'uplink', 'up'],
    [...outside, 'link', 'set', 'downlink', 'up'],
    [...inside, 'route', 'add', 'default', 'via', '192.0.2.1'],
  ];
}

/**
 * Makes the outside world and returns when it answers.
 * @param tls default: https without a certificate
 * @throws Error with what `ip` said; nothing is left then
 */
export async function makeOutside(tls?: OutsideTls): Promise<Outside> {
  const id = randomBytes(3).toString('hex');
  // Not `bgr-`: another test's leak check must not take them for banger's.
  const [inner, outer] = [`test-in-${id}`, `test-out-${id}`];
  let answering: ChildProcess | undefined;
  const close = async (): Promise<void> => {
    if (answering !== undefined && answering.exitCode === null && answering.signalCode === null) {
      answering.kill('SIGKILL');
      await once(answering, 'exit');
    }
    for (const name of [inner, outer]) spawnSync('ip', ['netns', 'del', name], { stdio: 'ignore' });
  };
  try {
    for (const args of outsideCommands(inner, outer)) ip(args);
    answering = await startResponder(outer, tls);
  } catch (error) {
    await close();
    throw error;
  }
  return { commandPrefix: ['ip', 'netns', 'exec', inner], close };
}

function ip(args: readonly string[]): void {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr.trim()}`);
}

async function startResponder(namespace: string, tls: OutsideTls | undefined): Promise<ChildProcess> {
  const argv = ['netns', 'exec', namespace, process.execPath, '-e', responder(tls)];
  const child = spawn('ip', argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  if (child.exitCode !== null) throw new Error('the responder of the outside world ended at once');
  return child;
}
