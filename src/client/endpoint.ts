// Which daemon a command line talks to: this machine's, one behind another socket, or another machine's over ssh. Contexts are names for
// them.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BangerError } from '../model/errors.ts';
import type { Environment } from './caller.ts';
import { PlaceProblem, refuseForeignFile } from '../lib/own-place.ts';
import { shellWord } from '../lib/shell-word.ts';
import { given } from '../lib/given.ts';

/** The daemon of another machine. */
export type SshEndpoint = { kind: 'ssh'; user?: string; host: string; port?: number; program: string };
export type Endpoint = { kind: 'local' } | { kind: 'unix'; socketPath: string } | SshEndpoint;

export type Context = { host: string; program?: string };
export type Contexts = { current: string; contexts: Record<string, Context> };

/** The context that always exists: the daemon of this user on this machine. */
export const LOCAL_CONTEXT = 'local';

/** @returns the path of the file of contexts, beside config.toml */
export function contextsPath(configPath: string): string {
  return join(dirname(configPath), 'contexts.json');
}

/** @throws CONFIG_INVALID if the file is not a list of contexts, or users other than this one may write it */
export function readContexts(path: string): Contexts {
  let text: string;
  try {
    refuseForeignFile(path);
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof PlaceProblem) throw new BangerError('CONFIG_INVALID', error.message, { remedy: error.remedy, cause: error });
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { current: LOCAL_CONTEXT, contexts: {} };
    throw new BangerError('CONFIG_INVALID', `cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
  try {
    const value = JSON.parse(text) as Contexts;
    for (const { host, program } of Object.values(value.contexts)) parseHost(host, program);
    if (typeof value.current === 'string') return value;
  } catch {
    // The error below covers it.
  }
  throw new BangerError('CONFIG_INVALID', `${path} is not a list of contexts`, { remedy: `rm ${shellWord(path)}` });
}

/**
 * BANGER_HOST takes precedence over BANGER_CONTEXT, and that over `banger context use`.
 * @throws CONFIG_INVALID, NOT_FOUND
 */
export function resolveEndpoint(env: Environment, configPath: string): Endpoint {
  const host = env['BANGER_HOST'];
  if (host !== undefined && host !== '') return parseHost(host, env['BANGER_REMOTE_PROGRAM']);
  const contexts = readContexts(contextsPath(configPath));
  return endpointOf(contexts, env['BANGER_CONTEXT'] || contexts.current);
}

/** @throws NOT_FOUND */
export function endpointOf({ contexts }: Contexts, name: string): Endpoint {
  if (name === LOCAL_CONTEXT) return { kind: 'local' };
  const context = Object.hasOwn(contexts, name) ? contexts[name] : undefined;
  if (context !== undefined) return parseHost(context.host, context.program);
  throw new BangerError('NOT_FOUND', `there is no context ${JSON.stringify(name)}`, { remedy: 'banger context list' });
}

/**
 * @param text `unix:///path`, `ssh://[user@]host[:port]` or `local`
 * @param program path of banger on the other machine; default: found there
 * @throws CONFIG_INVALID
 */
export function parseHost(text: string, program = 'banger'): Endpoint {
  if (text === LOCAL_CONTEXT) return { kind: 'local' };
  const unix = /^unix:\/\/(\/[^\0]+)$/.exec(text);
  if (unix?.[1] !== undefined) return { kind: 'unix', socketPath: unix[1] };
  // ssh would take a leading dash for a switch.
  const ssh = /^ssh:\/\/(?:([\w.][\w.@-]*)@)?((?:\[[0-9a-fA-F:.]+\]|[\w.][\w.-]*)(?::\d{1,5})?)\/?$/.exec(text);
  const [host, port] = splitPort(ssh?.[2] ?? '');
  const number = Number(port ?? 22);
  if (host !== '' && Number.isInteger(number) && number > 0 && number < 65_536) {
    const user = ssh?.[1];
    return { kind: 'ssh', ...given({ user }), host, ...(port === undefined ? {} : { port: number }), program };
  }
  throw new BangerError('CONFIG_INVALID', `${JSON.stringify(text)} is not the address of a daemon`, {
    remedy: 'write ssh://user@host, ssh://host:port or unix:///path/of/bangerd.sock',
  });
}

function splitPort(text: string): [host: string, port: string | undefined] {
  const match = /^(\[[^\]]+\]|[^:]+)(?::(\d+))?$/.exec(text);
  return [match?.[1]?.replace(/^\[|\]$/g, '') ?? '', match?.[2]];
}

/** @returns the address as a user writes it */
export function endpointName(endpoint: Endpoint): string {
  if (endpoint.kind === 'local') return LOCAL_CONTEXT;
  if (endpoint.kind === 'unix') return `unix://${endpoint.socketPath}`;
  const { user, host, port } = endpoint;
  const shown = host.includes(':') ? `[${host}]` : host;
  return `ssh://${user === undefined ? '' : `${user}@`}${shown}${port === undefined ? '' : `:${port}`}`;
}

/** The user's ssh_config for that host applies, including a ControlMaster. @returns argv of ssh up to the host */
export function sshWords({ user, host, port }: SshEndpoint, switches: readonly string[] = []): string[] {
  const where = [...(port === undefined ? [] : ['-p', String(port)]), ...(user === undefined ? [] : ['-l', user])];
  return ['ssh', ...switches, ...where, '--', host];
}

/** @returns argv that runs a banger command on the other machine, where it talks to that machine's own daemon */
export function remoteArgv(
  endpoint: SshEndpoint,
  words: readonly string[],
  { tty, variables = [] }: { tty: boolean; variables?: readonly string[] },
): string[] {
  const command = [endpoint.program, ...words].map(shellWord).join(' ');
  return [...sshWords(endpoint, [tty ? '-t' : '-T']), `env ${[`BANGER_HOST=${LOCAL_CONTEXT}`, ...variables, command].join(' ')}`];
}
