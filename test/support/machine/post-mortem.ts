// Collects what helps to understand a failed test of real VMs: records, logs, network, sockets and rules (9.6).
import { execFile } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { processesOf } from './leak-check.ts';
import type { Sandbox } from './sandbox.ts';

const SHOWN_BYTES = 4000;

/** Never throws: if something cannot be read, the text says so. */
export async function describeState(sandbox: Sandbox): Promise<string> {
  const processes = processesOf(sandbox.scope);
  const inNamespace = processes.find(({ namespaces, command }) => namespaces.includes('net') && command.includes('banger-forwarder'));
  const enter = inNamespace === undefined ? undefined : ['nsenter', '-t', String(inNamespace.pid), '-U', '-n', '--preserve-credentials'];
  const sections: [string, string][] = [
    ['VM records', await outputOf(sandbox.banger(['vm', 'list', '-o', 'json'], { timeoutMs: 15_000 }))],
    ['processes', processes.map(({ pid, command, namespaces }) => `${pid} ${command}${namespaces}`).join('\n')],
    ['listeners', await run(['ss', '-lntup'])],
    ['network of the VMs', enter === undefined ? 'none' : await run([...enter, 'ip', 'address'])],
    ['rules', enter === undefined ? 'none' : await run([...enter, 'nft', 'list', 'ruleset'])],
    ...logsBelow(sandbox.directory).map((path): [string, string] => [path, tailOf(path)]),
  ];
  return sections.map(([title, text]) => `--- ${title}\n${text.trimEnd()}\n`).join('');
}

async function outputOf(finished: ReturnType<Sandbox['banger']>): Promise<string> {
  const { stdout, stderr } = await finished;
  return stdout + stderr;
}

function run(argv: readonly string[]): Promise<string> {
  const [program = '', ...args] = argv;
  return new Promise((resolve) => {
    execFile(program, args, { timeout: 10_000 }, (error, stdout, stderr) => resolve(stdout + stderr + (error?.message ?? '')));
  });
}

function logsBelow(directory: string): string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile() && entry.name.endsWith('.log')).map((entry) => join(entry.parentPath, entry.name));
}

function tailOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').slice(-SHOWN_BYTES);
  } catch (error) {
    return String(error);
  }
}
