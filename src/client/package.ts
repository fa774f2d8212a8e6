// What `import … from 'banger/client'` gives: the client that the command itself uses. Documented in docs/client.md.
import { homedir } from 'node:os';
import { resolveDirectories } from '../lib/directories.ts';
import { type Api, createApi } from './api.ts';
import { followOperation } from './operations.ts';
import { createSend, type OpenStream } from './send.ts';
import type { Operation, OperationEvent } from '../api/schemas.ts';

export { BangerError, type ErrorCode } from '../model/errors.ts';
export type { Api } from './api.ts';
export type { OpenStream } from './send.ts';
export type { BuildImage, ImageView, ImportImage, RegisterImage } from '../api/image-schemas.ts';
export type * from '../api/schemas.ts';

export type ConnectOptions = {
  /** Default: where the daemon of this user listens, by the environment as the command reads it. */
  socketPath?: string;
  /** In place of a socket of this machine: opens a stream to a daemon elsewhere, one for each request. */
  open?: OpenStream;
};

/**
 * Nothing is opened before the first request, and the daemon is not started by it: `banger daemon start` does that.
 * @returns one typed function for each route; each throws the BangerError that the daemon answers, or DAEMON_UNREACHABLE
 */
export function connect(options: ConnectOptions = {}): Api {
  return createApi(createSend(options.open ?? options.socketPath ?? defaultSocketPath()));
}

/**
 * Waits for an operation that a function of the API began.
 * @param onEvent told of every event from the first on
 * @returns the operation as it ended well @throws the error that it ended with
 */
export async function finished(
  api: Api,
  begun: Operation | Promise<Operation>,
  onEvent?: (event: OperationEvent) => void,
): Promise<Operation> {
  const { id } = await begun;
  await followOperation(api, id, { onEvent });
  return api.operation(id);
}

function defaultSocketPath(): string {
  return resolveDirectories(process.env, homedir(), process.getuid?.() ?? 0).socketPath;
}
