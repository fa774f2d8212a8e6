import { homedir } from 'node:os';
import { existsSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Directories, ensurePrivateDirectory, resolveDirectories } from '../lib/directories.ts';
import { PlaceProblem } from '../lib/own-place.ts';
import { connectOwnSocket } from '../lib/own-socket.ts';
import { BangerError, ERROR_CODES } from '../model/errors.ts';
import { answerTo } from './arguments.ts';
import { activatedDescriptor, listenOn } from './activation.ts';
import { compose } from './compose/compose.ts';
import { trustHost } from './host-trust.ts';
import { DRIVERS, namesOf } from './compose/registry.ts';
import { loadConfig } from './config.ts';
import { closeInherited } from './inherited.ts';
import { LOG_BYTES, openLog } from './log.ts';
import { createServer } from './server.ts';
import { messageOf } from '../lib/message-of.ts';

declare const BANGER_BUILD: string;
declare const BANGER_VERSION: string;

/** How long running requests may take when the daemon ends. */
const CLOSE_TIMEOUT_MS = 3000;

/** The daemon's life: configuration, the lock against a second daemon, recovery, listening, and an end that leaves VMs running. */
async function main(): Promise<void> {
  const asked = answerTo(process.argv.slice(2), BANGER_VERSION);
  if (asked !== undefined) {
    (asked.exitCode === 0 ? process.stdout : process.stderr).write(asked.text);
    process.exitCode = asked.exitCode;
    return;
  }
  const activated = activatedDescriptor(process.env, process.pid);
  await closeInherited(activated);
  const directories = prepareDirectories();
  const { config, warnings } = loadConfig(directories.configPath, process.env, namesOf(DRIVERS));
  const log = openLog(config.log_level, { path: directories.daemonLogPath, maxBytes: LOG_BYTES });
  for (const warning of warnings) log.warn(warning);
  // If systemd has started this daemon, systemd answers on the socket; the database lock still keeps a second daemon out.
  if (activated === undefined) await refuseSecondDaemon(directories.socketPath);
  const ending = Promise.withResolvers<string>();
  const build = { id: BANGER_BUILD, version: BANGER_VERSION };
  await trustHost(config);
  const daemon = await compose({ directories, config, log, build, requestShutdown: () => ending.resolve('request') });
  const server = await createServer(daemon.services, build, {
    onUndeclared: (route, code) => log.warn({ route, code }, 'a route returned an error that it does not declare'),
  });
  await daemon.recover();
  if (activated === undefined) {
    // A socket without a listener belongs to a dead daemon; the database lock has shown that no daemon lives.
    rmSync(directories.socketPath, { force: true });
    await server.listen({ path: directories.socketPath });
  } else {
    await server.ready();
    await listenOn(server.server, activated);
  }
  log.info({ socket: directories.socketPath, version: build.version, build: build.id }, 'listening');
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => ending.resolve(signal));
  // A closed terminal is no reason to end.
  process.on('SIGHUP', () => undefined);

  log.info({ reason: await ending.promise }, 'ending; VMs continue');
  await Promise.race([server.close(), sleep(CLOSE_TIMEOUT_MS)]);
  await daemon.close();
  if (activated === undefined) rmSync(directories.socketPath, { force: true });
  process.exit(0);
}

function prepareDirectories(): Directories {
  const directories = resolveDirectories(process.env, homedir(), process.getuid?.() ?? 0);
  const { stateDirectory, cacheDirectory, runtimeDirectory } = directories;
  for (const directory of [stateDirectory, cacheDirectory, runtimeDirectory]) ensurePrivateDirectory(directory);
  return directories;
}

/** @throws DAEMON_RUNNING if a daemon answers on the socket, PlaceProblem if the socket is not this user's */
async function refuseSecondDaemon(socketPath: string): Promise<void> {
  if (!existsSync(socketPath)) return;
  const answered = await new Promise<boolean>((resolve, reject) => {
    const probe = connectOwnSocket(socketPath);
    probe.once('connect', () => resolve(true));
    probe.once('error', (error) => (error instanceof PlaceProblem ? reject(error) : resolve(false)));
    probe.unref();
  });
  if (answered) throw new BangerError('DAEMON_RUNNING', `a bangerd answers on ${socketPath}`, { remedy: 'banger daemon restart' });
}

process.on('unhandledRejection', (reason) => {
  process.stderr.write(`bangerd: unhandled: ${reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)}\n`);
  process.exit(70);
});

main().catch((error: unknown) => {
  const text = messageOf(error);
  const remedy = error instanceof BangerError || error instanceof PlaceProblem ? error.remedy : undefined;
  process.stderr.write(`bangerd: ${text}\n${remedy === undefined ? '' : `  try: ${remedy}\n`}`);
  if (!(error instanceof BangerError) && !(error instanceof PlaceProblem) && error instanceof Error)
    process.stderr.write(`${error.stack}\n`);
  process.exit(error instanceof BangerError ? ERROR_CODES[error.code].exit : 1);
});
