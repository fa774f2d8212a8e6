import { type ApiReply, createSend, type Send } from './send.ts';
import { type Api, createApi } from './api.ts';
import { BangerError } from '../model/errors.ts';
import { BUILD } from './build-info.ts';
import type { Caller } from './caller.ts';
import { type Endpoint, endpointName } from './endpoint.ts';

const RETRY_AFTER_MS = 100;

/**
 * @param options.autostart whether to start the daemon of this user if it does not run
 * @returns the send function for the daemon of an endpoint; it opens nothing before the first request
 */
export function reachDaemon(caller: Caller, endpoint: Endpoint, options: { autostart: boolean }): Api {
  return createApi(endpoint.kind === 'local' ? createDaemonSend(caller, options) : createRemoteSend(caller, endpoint));
}

/**
 * Sends requests to a daemon elsewhere. The client does not start or replace it, and only reports one of another build. The code for the
 * transport is loaded on first use.
 */
function createRemoteSend(caller: Caller, endpoint: Exclude<Endpoint, { kind: 'local' }>): Send {
  let isNamed = false;
  const name = (headers: ReadonlyMap<string, string>): void => {
    const build = headers.get('banger-build');
    if (isNamed || build === undefined || build === BUILD) return;
    isNamed = true;
    caller.note(`banger: the daemon at ${endpointName(endpoint)} is build ${build}, this program is build ${BUILD}`);
  };
  if (endpoint.kind === 'unix') return createSend(endpoint.socketPath, name);
  return async (request) => {
    const { openSshStream } = await import('./remote-process.ts');
    return createSend(() => openSshStream(caller, endpoint), name)(request);
  };
}

/**
 * Sends requests to the daemon of this user. With `autostart` the client starts a missing daemon, and replaces one of another build unless
 * that would end open sessions; each at most once. Without it, it only reports a daemon of another build.
 */
export function createDaemonSend(caller: Caller, options: { autostart: boolean }): Send {
  let seenBuild: string | undefined;
  let replaced = false;
  const raw = createSend(caller.directories().socketPath, (headers) => (seenBuild = headers.get('banger-build') ?? seenBuild));

  const startAndRetry = async (request: Parameters<Send>[0], error: unknown): Promise<ApiReply> => {
    if (!(error instanceof BangerError) || error.details?.['absent'] !== true || !options.autostart) throw error;
    const { startDaemon } = await import('./daemon-process.ts');
    await startDaemon(caller);
    return raw(request);
  };

  /** @returns whether another daemon answers now, so that the caller must send the request again */
  const replaceOtherBuild = async (): Promise<boolean> => {
    if (replaced || seenBuild === undefined || seenBuild === BUILD) return false;
    replaced = true;
    if (!options.autostart) {
      caller.note(`banger: the daemon is build ${seenBuild}, this program is build ${BUILD}`);
      return false;
    }
    const { nameWork, openWork } = await import('./open-work.ts');
    const work = await openWork(createApi(raw));
    if (work.length > 0) {
      caller.note(
        `banger: the daemon is build ${seenBuild}, this program is build ${BUILD}; it is replaced when this is over: ${nameWork(work)} (or now, by banger daemon restart --yes)`,
      );
      return false;
    }
    const { restartDaemon } = await import('./daemon-process.ts');
    await restartDaemon(caller);
    return true;
  };

  return async (request) => {
    // A change must not reach a daemon that is then replaced, or it would happen twice.
    if (request.method !== 'GET' && seenBuild === undefined) await sendGet({ method: 'GET', path: '/v1/daemon/build' }, true);
    return request.method === 'GET' ? sendGet(request, false) : raw(request);
  };

  /** A daemon that is just ending resets connections without a reply; the client asks again to find the new state. */
  async function rawOnceMore(request: Parameters<Send>[0]): Promise<ApiReply> {
    try {
      return await raw(request);
    } catch (error) {
      const { unanswered, absent } = (error instanceof BangerError ? error.details : undefined) ?? {};
      if (unanswered !== true || absent === true) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_AFTER_MS));
      return raw(request);
    }
  }

  async function sendGet(request: Parameters<Send>[0], discard: boolean): Promise<ApiReply> {
    const outcome = await rawOnceMore(request)
      .catch((error: unknown) => startAndRetry(request, error))
      .then(
        (reply) => ({ reply }),
        (error: unknown) => ({ error }),
      );
    if (await replaceOtherBuild()) {
      if ('reply' in outcome) outcome.reply.socket.destroy();
      return raw(request);
    }
    if ('error' in outcome) throw outcome.error;
    if (discard) outcome.reply.socket.destroy();
    return outcome.reply;
  }
}
