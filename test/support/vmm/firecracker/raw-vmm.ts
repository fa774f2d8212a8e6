// One Firecracker, real or simulated, with access to every byte of its API.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { paced } from '../../machine/pace.ts';

/** In the lab beside a busy host, starting Node for the simulated one has taken more than a minute. */
const START_LIMIT_MS = 60_000;

/** Starts a process that ends with the test. @returns its API socket */
export async function startVmm(t: TestContext, program: string): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-raw-'));
  const socket = join(directory, 'api.sock');
  const child = spawn(program, ['--api-sock', socket, '--id', 'raw'], { stdio: 'ignore' });
  t.after(async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode === null && child.kill('SIGKILL')) await ended;
    rmSync(directory, { recursive: true, force: true });
  });
  for (const limit = performance.now() + paced(START_LIMIT_MS); !(await answers(socket)); await sleep(5)) {
    if (performance.now() > limit) throw new Error(`${program} opened no socket`);
  }
  return socket;
}

/** The name of the socket exists a moment before it accepts connections. */
function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath, () => resolve(true)).on('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** One request. @returns the status, and the fault message if there is one */
export function exchange(socketPath: string, method: string, path: string, body?: string): Promise<{ status: number; fault: string }> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
    const outgoing = request({ socketPath, method, path, agent: false, headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, fault: faultOf(text) }));
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** If the HTTP layer of the real one refuses a request, the reply has `error` instead, in almost-JSON. */
const faultOf = (text: string): string => /^\{\s*"(fault_message|error)":\s*"(.*)/s.exec(text)?.[2] ?? '';
