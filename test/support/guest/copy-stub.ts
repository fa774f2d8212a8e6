// `vm cp` in this process, with the real copy program at both ends. The guest `web` is a directory of this host.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { afterEach, beforeEach } from 'node:test';
import type { ExecBody } from '../../../src/api/schemas.ts';
import { type CliOutcome, runInProcess } from '../user/run-cli.ts';
import { answer, startStubDaemon, type StubDaemon } from '../daemon/stub-daemon.ts';
import { COPY_PROGRAM, runAsGuest } from './stub-guest.ts';

export type CopyStub = {
  /** Absolute directory with `host` and `guest` in it, new for every test. */
  base: string;
  /** @param words of `vm cp` */
  cp(words: readonly string[], stdin?: string | Readable): Promise<CliOutcome>;
  daemon: StubDaemon;
  /** A program that replaces the guest's end of a copy. */
  guestArgv: readonly string[] | undefined;
  /** The number of sessions that the daemon reports before it opens one; with 0 it reports none. */
  sessionsBefore: number;
  /** Where the program of the host's end is searched. */
  programDirectory: string;
};

/** Registers the hooks of a test file. @returns what its tests use */
export function useCopyStub(): () => CopyStub {
  let stub: CopyStub | undefined;
  beforeEach(async () => {
    const base = mkdtempSync(`${tmpdir()}/banger-copy-`);
    mkdirSync(`${base}/guest`);
    mkdirSync(`${base}/host`);
    const daemon = await startStubDaemon({
      routes: { 'GET /v1/daemon/build': answer({}) },
      onUpgrade: (socket, seen) => {
        const sessions = stub?.sessionsBefore ?? 0;
        if (sessions > 0) socket.write(`HTTP/1.1 102 Processing\r\nBanger-Build: dev\r\nBanger-Sessions: ${sessions}\r\n\r\n`);
        runAsGuest(socket, stub?.guestArgv ?? (seen.body as ExecBody).argv);
      },
    });
    const cp: CopyStub['cp'] = (words, stdin = '') =>
      runInProcess(daemon.env, ['vm', 'cp', ...words], { stdin, programPath: `${stub?.programDirectory}/banger` });
    stub = { base, cp, daemon, guestArgv: undefined, sessionsBefore: 0, programDirectory: dirname(COPY_PROGRAM) };
  });
  afterEach(async () => {
    await stub?.daemon.close();
    rmSync(stub?.base ?? '', { recursive: true });
  });
  return () => {
    if (stub === undefined) throw new Error('used outside of a test');
    return stub;
  };
}
