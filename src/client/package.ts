// The exports of 'banger/client': the client that the command itself uses. docs/client.md documents it.
import { fileURLToPath } from 'node:url';
import type { Operation } from '../api/schemas.ts';
import { type Api, createApi } from './api.ts';
import { type Caller, directoriesOf, type Environment } from './caller.ts';
import { reachDaemon } from './daemon-send.ts';
import { type Endpoint, parseHost, resolveEndpoint } from './endpoint.ts';
import { type FollowOptions, type OperationEnd, runOperation } from './operations.ts';
import { createSend, type OpenStream } from './send.ts';
import { createVms, type Vms } from './vms.ts';

export { BangerError, type ErrorCode } from '../model/errors.ts';
export type { Api, LogKind, WaitTarget } from './api.ts';
export type { CopyPathOptions } from './copy-paths.ts';
export type { CommandOptions, Content, ExecOptions, ExecResult } from './exec.ts';
export type { GuestSession, SessionExit, SessionOptions } from './exec-session.ts';
export type { FollowOptions, OperationEnd } from './operations.ts';
export type { OpenStream } from './send.ts';
export type { Forward, ForwardPlace, LogOptions, Vms } from './vms.ts';
export type { BuildImage, ImageView, ImportImage, RegisterImage } from '../api/image-schemas.ts';
export type { GuestPortView, PortForwardView } from '../api/port-schemas.ts';
export type * from '../api/schemas.ts';

export type ClientOptions = {
  /** As in the command: BANGER_HOST, BANGER_CONTEXT, BANGER_STATE_DIR and so on. Default: the environment of this process. */
  env?: Environment;
  /** The daemon to talk to, whatever the environment says: `local`, `unix:///path` or `ssh://[user@]host[:port]`. */
  host?: string;
  /** Instead of a host: opens a stream to a daemon, once for each request. */
  open?: OpenStream;
  /** Whether to start the daemon of this user if it does not run, and to replace it if it is another build. Default: no. */
  autostart?: boolean;
  /** Gets messages for people, such as about a daemon of another build. Default: none. */
  note?: (line: string) => void;
};

export type Client = {
  /** One typed function for each route of docs/api.md. */
  api: Api;
  vms: Vms;
  /**
   * Waits for an operation that a function of `api` began. An abort cancels the operation.
   * @throws the operation's error
   */
  finished(operation: Operation | Promise<Operation>, options?: FollowOptions): Promise<OperationEnd>;
};

/**
 * Makes a client. It opens nothing: each request has a connection of its own.
 * @throws CONFIG_INVALID, NOT_FOUND if the host or the environment is wrong
 */
export function createClient(options: ClientOptions = {}): Client {
  const { env = process.env, open } = options;
  const caller: Caller = {
    env,
    directories: () => directoriesOf(env),
    // The package's layout; the launcher beside it finds the right Node.
    programPath: fileURLToPath(new URL('../bin/banger', import.meta.url)),
    note: options.note ?? (() => undefined),
  };
  const api =
    open === undefined
      ? reachDaemon(caller, endpointOf(caller, options.host), { autostart: options.autostart === true })
      : createApi(createSend(open));
  return {
    api,
    vms: createVms(api, caller),
    finished: (operation, following) => runOperation(api, () => Promise.resolve(operation), following),
  };
}

function endpointOf({ env, directories }: Caller, host: string | undefined): Endpoint {
  return host === undefined ? resolveEndpoint(env, directories().configPath) : parseHost(host, env['BANGER_REMOTE_PROGRAM']);
}
