// The first hour of a new user, typed into a real terminal. docs/first-hour.md has every screen; UPDATE=1 writes it anew.
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { useSandbox } from '../support/machine/e2e.ts';
import { type Scene, SCENES, steady } from '../support/user/first-hour-script.ts';
import { PROGRAM } from '../support/machine/sandbox.ts';
import { openTmuxShell, type TmuxShell } from '../support/user/tmux.ts';

const PAGE = join(import.meta.dirname, '..', '..', 'docs', 'first-hour.md');
const PROMPT = /^\$ *$/;
/** Answers with a line to everybody, over HTTP, with what every Debian has. */
const SERVER = `#!/bin/sh
exec systemd-socket-activate --listen=8000 --accept --inetd sh -c \\
  'while read line && [ \${#line} -gt 1 ]; do :; done; printf "HTTP/1.0 200 OK\\r\\n\\r\\nhello from the machine\\n"'
`;

const sandbox = useSandbox();

test('the first hour matches docs/first-hour.md (1.6, 1.7, 3.1)', async () => {
  const { directory } = sandbox();
  const home = join(directory, 'home');
  writeFileSync(join(home, 'serve.sh'), SERVER);
  chmodSync(join(home, 'serve.sh'), 0o755);
  const rcFile = join(home, 'bashrc');
  writeFileSync(rcFile, `PATH=${dirname(PROGRAM)}:$PATH; PS1='$ '; cd; unset PROMPT_COMMAND; bind 'set enable-bracketed-paste off'\n`);
  const shell = await openTmuxShell(sandbox(), rcFile, { columns: 110, rows: 60 });
  try {
    await shell.waitFor('the prompt', (lines) => lines.some((line) => PROMPT.test(line)));
    const sections: string[] = [];
    for (const scene of SCENES) sections.push(await play(shell, scene));
    const text = `${INTRODUCTION}\n${sections.join('\n')}`;
    if (process.env['UPDATE'] === '1') writeFileSync(PAGE, text);
    assert.equal(text, readFileSync(PAGE, 'utf8'), 'docs/first-hour.md differs from what is seen; UPDATE=1 writes it anew');
  } finally {
    await shell.close();
  }
});

const INTRODUCTION = `# The first hour

Each screen is what a terminal showed: \`test/e2e/first-hour.test.ts\` types these lines, with a real VM, and compares the output.
Times, ids and addresses differ from run to run. \`serve.sh\` is three lines that answer HTTP.
`;

/** @returns the section of the page */
async function play(shell: TmuxShell, { title, text, say }: Scene): Promise<string> {
  await shell.clear();
  // Its one line is the prompt, which must not be taken for the one that follows a command.
  let seen = await shell.waitFor('an empty screen', (lines) => lines.length === 1 && PROMPT.test(lines[0] ?? ''));
  for (const step of say) {
    const { line, until } = typeof step === 'string' ? { line: step, until: PROMPT } : step;
    const before = seen.length;
    await shell.say(line);
    seen = await shell.waitFor(`the end of ${line}`, (lines) => lines.length > before && until.test(lines.at(-1) ?? ''));
  }
  const screen = steady(seen.slice(0, -1)).join('\n');
  return `${title === undefined ? '' : `## ${title}\n\n`}${text}\n\n\`\`\`console\n${screen}\n\`\`\`\n`;
}
