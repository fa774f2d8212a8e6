// A program with Firecracker's arguments and API but no machine, as strict as the real one, for hosts without KVM.
import { createServer } from 'node:http';
import { API_FACTS } from './firecracker/api-rules.ts';
import { FakeApi } from './firecracker/fake-api.ts';
import { FakeVirtualMachine } from './firecracker/fake-machine.ts';

const STATUS = { generic: 1, badArguments: 153 } as const;
const OPTIONS = new Set(['--api-sock', '--id', '--level', '--log-path', '--metrics-path']);
const FLAGS = new Set(['--version', '--enable-pci', '--boot-timer', '--no-seccomp', '--show-level', '--show-log-origin']);
const MAX_BODY_BYTES = 51_200;

function parseArguments(words: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    const value = OPTIONS.has(word) ? words[++at] : '';
    if ((!OPTIONS.has(word) && !FLAGS.has(word)) || value === undefined || found.has(word))
      end(STATUS.badArguments, `bad argument ${word}`);
    found.set(word, value);
  }
  return found;
}

function end(status: number, reason: string): never {
  console.error(reason);
  process.exit(status);
}

const given = parseArguments(process.argv.slice(2));
if (given.has('--version')) console.log(`Firecracker v${API_FACTS.version}\n`);
else serve(given.get('--id') ?? 'anonymous-instance', given.get('--api-sock') ?? '/run/firecracker.socket');

function serve(id: string, path: string): void {
  // The real one panics, which aborts it.
  if (!/^[a-zA-Z0-9-]{1,64}$/.test(id)) process.kill(process.pid, 'SIGABRT');
  const api = new FakeApi(id, new FakeVirtualMachine());
  let last: Promise<unknown> = Promise.resolve();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const isTooLarge = body.length > MAX_BODY_BYTES;
      // One request after another, like the real one.
      last = last.then(async () => {
        const answer = isTooLarge
          ? { status: 400, body: { fault_message: 'the body is too large' } }
          : await api.handle({ method: request.method ?? '', path: request.url ?? '', body: body.toString('utf8') });
        response.writeHead(answer.status, { 'Content-Type': 'application/json' });
        response.end(answer.body === undefined ? undefined : JSON.stringify(answer.body));
      });
    });
  });
  // It never closes an idle connection, and leaves its socket behind however it ends.
  server.keepAliveTimeout = server.headersTimeout = server.requestTimeout = 0;
  server.on('error', (error: NodeJS.ErrnoException) => end(STATUS.generic, `the API socket cannot be bound: ${error.code}`));
  server.listen(path, () => console.log(`Running Firecracker v${API_FACTS.version}`));
}
