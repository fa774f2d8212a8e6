// The connection to another machine's daemon: ssh, and at its other end `banger internal dial-stdio`. Loaded only on use.
import { openProcessStream } from '../host/process-stream.ts';
import type { StreamEnding } from '../host/spawn.ts';
import { BangerError } from '../model/errors.ts';
import type { Caller } from './caller.ts';
import { endpointName, remoteArgv, type SshEndpoint, sshWords } from './endpoint.ts';
import { safeLine } from '../lib/terminal-text.ts';
import { shellWord } from '../lib/shell-word.ts';

/** Asks dial-stdio to print a line once it is connected to its daemon; the reply itself may take as long as the request. */
export const GREETING_VARIABLE = 'BANGER_GREETING';
export const GREETING = 'banger dial-stdio reached its daemon\n';

/** The exit status of ssh if it fails itself (ssh(1)). */
const SSH_FAILED = 255;
/**
 * How long the other side may be silent after it printed something else. A login file that asks a question or starts a program never gets
 * as far as banger; a daemon that has to start takes less.
 */
const SILENT_LIMIT_MS = 30_000;
/** The exit statuses of a shell that does not find a program, or cannot run it. */
const NOT_FOUND_THERE = [126, 127];

/** @returns a stream to the daemon at the other end; its error says which of ssh, banger and the daemon was missing */
export function openSshStream({ env }: Pick<Caller, 'env'>, endpoint: SshEndpoint, silentLimitMs = SILENT_LIMIT_MS) {
  const argv = remoteArgv(endpoint, ['internal', 'dial-stdio'], { tty: false, variables: [`${GREETING_VARIABLE}=1`] });
  // Without the forwards of the user's configuration: a second connection would fail on ports that the first one has.
  const quiet = ['ssh', '-o', 'ClearAllForwardings=yes', '-e', 'none', ...argv.slice(1)];
  return openProcessStream(quiet, env, { explain: (ending) => explain(endpoint, ending), findStart: startOfAnswer, silentLimitMs });
}

/** The head of a reply of banger, which names its build; a message of the day could contain HTTP. */
const ANSWER = /HTTP\/1\.[01] \d{3}[^\r\n]*\r\n(?:[^\r\n]+\r\n)*?banger-build: /i;

/** Login files of the other side may print before banger replies. @returns the offset of the daemon's first byte, or -1 */
export function startOfAnswer(text: string): number {
  const greeting = text.indexOf(GREETING);
  return greeting < 0 ? text.search(ANSWER) : greeting + GREETING.length;
}

/** @returns the error for a connection that failed before the reply began */
export function explain(endpoint: SshEndpoint, { exitCode, startError, stdout, stderr, silentMs }: StreamEnding): BangerError {
  const name = endpointName(endpoint);
  const lines = stderr.split('\n').map((line) => line.trim());
  const failure = (message: string, remedy: string): BangerError =>
    new BangerError('DAEMON_UNREACHABLE', message, { remedy, details: { absent: false, host: name, exitCode } });
  if (startError !== undefined) {
    return new BangerError('PREREQUISITE_MISSING', `ssh could not be started (${startError})`, {
      remedy: 'sudo apt-get install openssh-client',
    });
  }
  const tryIt = sshWords(endpoint).map(shellWord).join(' ');
  const said = lines.findLast((line) => line !== '') ?? '';
  if (exitCode === SSH_FAILED) return failure(`ssh did not get to ${name}: ${said || 'it gave no reason'}`, `${tryIt} true`);
  if (exitCode !== null && NOT_FOUND_THERE.includes(exitCode)) {
    return failure(`${endpoint.program} cannot be run at ${name}: ${said}`, `banger context add NAME ${name} --program /path/of/banger`);
  }
  const noise = safeLine(firstLine(stdout)).slice(0, 200);
  if (silentMs !== undefined) {
    return failure(
      `${name} answered "${noise}", and then nothing for ${silentMs / 1000} s: a login file of ${endpoint.user ?? 'the user'} there waits for something`,
      `${tryIt} true`,
    );
  }
  const own = lines.find((line) => line.startsWith('banger: '));
  if (noise !== '' && own === undefined) {
    return failure(
      `${name} answered "${noise}" where banger's answer was due: a login file of ${endpoint.user ?? 'the user'} there prints it, or runs another program`,
      `${tryIt} ${endpoint.program} daemon status`,
    );
  }
  // banger's own error message from the other end.
  const reason = own?.slice('banger: '.length) ?? said;
  return failure(
    `banger at ${name} did not reach its daemon: ${reason || `it ended with status ${exitCode}`}`,
    `${tryIt} ${endpoint.program} daemon status`,
  );
}

function firstLine(text: string): string {
  return (
    text
      .split(/[\r\n]+/)
      .find((line) => line.trim() !== '')
      ?.trim() ?? ''
  );
}
