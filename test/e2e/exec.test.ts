// Commands in a VM behave like commands here: status, streams, terminal, environment.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { clientExample, clientProgram } from '../support/user/client-program.ts';
import { COPY_CASES, layOut, look } from '../support/guest/copy-cases.ts';
import { fatDisk } from '../support/guest/fat-disk.ts';
import { createVm, daemonStatus, eventually, guest, startBanger, useSandbox } from '../support/machine/e2e.ts';
import { startOnTerminal } from '../support/user/pty.ts';
import { request, sendRaw } from '../support/user/raw-http.ts';
import { type Finished, freePort, PROGRAM } from '../support/machine/sandbox.ts';

const sandbox = useSandbox();
/** What starts programs on a terminal and says nothing of its size. */
const PTY_FORK = `import os, pty, sys
pid, fd = pty.fork()
if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])
try:
  while data := os.read(fd, 4096): sys.stdout.buffer.write(data)
except OSError: pass
os.waitpid(pid, 0)`;

/** @returns the lines that `banger` writes on such a terminal */
async function onSizeless(words: readonly string[], term = 'xterm'): Promise<string[]> {
  const [program = '', ...args] = sandbox().argv([PROGRAM, ...words]);
  const env = { ...sandbox().env, TERM: term };
  const { stdout } = await promisify(execFile)('python3', ['-c', PTY_FORK, program, ...args], { env, cwd: '/' });
  return stdout.split(/\r*\n/);
}
const exec = (...words: string[]): Promise<Finished> => sandbox().banger(['vm', 'exec', ...words]);

test("vm exec ends with the command's own status, 126 and 127 where it cannot run, 128+n after a signal (3.13, 1.6)", async () => {
  await createVm(sandbox(), 'web');
  assert.equal((await exec('web', '--', 'sh', '-c', 'exit 3')).status, 3);
  assert.equal((await exec('web', '--', 'sh', '-c', 'kill -TERM $$')).status, 143);
  const missing = await exec('web', '--', 'no-such-program');
  assert.equal(missing.status, 127);
  assert.match(missing.stderr, /no-such-program/);
  assert.equal((await exec('web', '--', '/etc/hostname')).status, 126);
  const nobody = await exec('nobody', '--', 'true');
  assert.equal(nobody.status, 125);
  assert.match(nobody.stderr, /there is no VM "nobody"/);
});

test('stdout and stderr stay apart (3.13)', async () => {
  const { stdout, stderr } = await exec('web', '--', 'sh', '-c', 'echo out; echo err >&2');
  assert.deepEqual([stdout, stderr], ['out\n', 'err\n']);
});

test('10 MB go in and come out unchanged (3.13)', async () => {
  const input = randomBytes(7_500_000).toString('base64');
  const sum = createHash('sha256').update(input).digest('hex');
  const seen = await sandbox().must(['vm', 'exec', 'web', '--', 'sh', '-c', 'cat | sha256sum'], { input });
  assert.equal(seen, `${sum}  -\n`);
  const echoed = await sandbox().must(['vm', 'exec', 'web', '--', 'cat'], { input });
  assert.equal(createHash('sha256').update(echoed).digest('hex'), sum);
  const { logPath } = await daemonStatus(sandbox());
  assert.doesNotMatch(readFileSync(logPath, 'utf8'), /Warning/, 'the daemon collects no listeners');
});

test('a command that reads nothing ends although its stdin stays open (3.13)', async () => {
  assert.equal(await sandbox().must(['vm', 'exec', 'web', '--', 'true'], { input: 'x'.repeat(1_000_000) }), '');
});

test('a command may be as long as Linux permits, and a longer one does not affect the next (3.13)', async () => {
  const words = Array<string>(40_000).fill('src/some/file.ts');
  const counted = await exec('web', '--', 'sh', '-c', 'echo $#', 'sh', ...words);
  assert.deepEqual([counted.status, counted.stdout], [0, '40000\n']);
  const variables = Array.from({ length: 3000 }, (_, at) => ['-e', `BANGER_TEST_${at}=x`]).flat();
  const listed = await exec(...variables, 'web', '--', 'sh', '-c', 'env | grep -c ^BANGER_TEST_');
  assert.equal(listed.stdout, '3000\n');
  const long = 'x'.repeat(100_000);
  assert.equal((await exec('web', '--', 'true', long, long, long)).status, 0);
  // Three times as many as there are channels: each would be left with the rest of a request in it.
  const { socketPath } = await daemonStatus(sandbox());
  for (let round = 0; round < 48; round++) {
    const target = `/v1/vms/web/stat?path=${encodeURIComponent(`/${'\u0001'.repeat(4094)}`)}`;
    assert.equal((await sendRaw(socketPath, request('GET', target))).status, 422);
  }
  assert.equal((await exec('web', '--', 'true')).status, 0);
});

test('if the worker of a session in the guest is killed, the session ends with a reason, and the next command works (3.13, 7.2)', async () => {
  const killed = await exec('web', '--', 'sh', '-c', 'head -c 100000 /dev/zero; kill -9 $PPID; sleep 1000');
  assert.equal(killed.status, 125);
  assert.match(killed.stderr, /the guest agent sent/);
  assert.equal((await exec('web', '--', 'echo', 'alive')).stdout, 'alive\n');
});

test('with -t the command has a terminal of our size, which follows ours (3.13)', async () => {
  const script = "stty size; trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.1; done";
  const terminal = startOnTerminal(sandbox(), ['vm', 'exec', '-it', 'web', 'sh', '-c', script], { columns: 97, rows: 31 });
  await terminal.waitFor('31 97\r');
  await terminal.waitFor('ready');
  terminal.resize(120, 40);
  await terminal.waitFor('40 120\r');
  assert.equal((await terminal.ended).exitCode, 0);
});

test('a terminal without a size has the usual size in the guest, over exec and ssh (3.13)', async () => {
  for (const words of [
    ['vm', 'exec', '-it', 'web', 'stty', 'size'],
    ['vm', 'ssh', '-t', 'web', '--', 'stty size'],
  ]) {
    assert.equal((await onSizeless(words))[0], '24 80', words.join(' '));
  }
});

test('terminals newer than the guest work in it, over exec and ssh; an unknown one counts as the usual one (3.13, 6.4)', async () => {
  const terms = ['xterm-ghostty', 'xterm-kitty', 'alacritty', 'foot', 'wezterm', 'tmux-256color'];
  const askAll = `for term in ${terms.join(' ')}; do tput -T $term colors; tput -T $term cup 1 1 | od -An -tx1; done`;
  assert.equal((await exec('web', '--', 'sh', '-c', askAll)).stdout, '256\n 1b 5b 32 3b 32 48\n'.repeat(terms.length));
  const ask = 'echo "$TERM $(tput colors)"';
  for (const [verb, term, expected] of [
    ['exec', 'xterm-kitty', 'xterm-kitty 256'],
    ['exec', 'no-such-terminal', 'xterm-256color 256'],
    ['ssh', 'xterm-ghostty', 'xterm-ghostty 256'],
  ] as const)
    assert.equal((await onSizeless(['vm', verb, '-t', 'web', '--', ...(verb === 'exec' ? ['sh', '-c', ask] : [ask])], term))[0], expected);
  assert.equal((await exec('web', '--', 'sh', '-c', 'printf äöü | wc -m; echo "$LANG"')).stdout, '3\nC.UTF-8\n');
});

test('Ctrl-C on a terminal interrupts the command in the guest, not banger (3.13)', async () => {
  const script = "trap 'echo interrupted; exit 42' INT; echo ready; while :; do sleep 0.1; done";
  const terminal = startOnTerminal(sandbox(), ['vm', 'exec', '-it', 'web', 'sh', '-c', script], { columns: 80, rows: 24 });
  await terminal.waitFor('ready');
  terminal.write('\u0003');
  const { exitCode, output } = await terminal.ended;
  assert.match(output, /interrupted/);
  assert.equal(exitCode, 42);
});

test('a session ends with its client: a closed terminal, kill -9, an unread input; a process behind setsid continues (3.13)', async () => {
  const sessions = async (): Promise<string> => (await exec('web', '--', 'sh', '-c', 'pgrep -fc "^sleep 77[0-9]$" || true')).stdout.trim();
  // It heeds no hang-up, so that only the end of its session can end it.
  const stubborn = (seconds: number): string[] => ['sh', '-c', `trap '' HUP; echo ready; sleep ${seconds}; :`];
  const terminal = startOnTerminal(sandbox(), ['vm', 'exec', '-it', 'web', ...stubborn(771)], { columns: 80, rows: 24 });
  await terminal.waitFor('ready');
  terminal.hangUp();
  await terminal.ended;
  const killed = startBanger(sandbox(), ['vm', 'exec', 'web', ...stubborn(772)]);
  await eventually('the command', killed.stdout, (text) => text.includes('ready'));
  killed.child.kill('SIGKILL');
  const full = startBanger(sandbox(), ['vm', 'exec', 'web', ...stubborn(773)], openSync('/dev/zero', 'r'));
  await eventually('the command', full.stdout, (text) => text.includes('ready'));
  await sleep(3000);
  full.child.kill('SIGKILL');
  await eventually('the end of all', sessions, (count) => count === '0');
  await exec('web', '--', 'sh', '-c', 'setsid sleep 774 >/dev/null 2>&1 </dev/null &');
  // `setsid` may still be on its way when the session is over.
  await eventually('the process behind setsid', sessions, (count) => count === '1');
});

test('vm ssh on a terminal ends with a reminder that the VM still runs (3.10)', async () => {
  const terminal = startOnTerminal(sandbox(), ['vm', 'ssh', 'web'], { columns: 80, rows: 24 });
  await terminal.waitFor('root@web');
  terminal.write('exit\r');
  const { exitCode, output } = await terminal.ended;
  assert.equal(exitCode, 0);
  assert.match(output, /web is still running; stop it: banger vm stop web/);
});

test('environment, directory and user of the command can be chosen (3.13)', async () => {
  const script = 'echo "$GREETING $OWN"; pwd; id -un';
  const args = ['vm', 'exec', '-e', 'GREETING=hello world', '--env', 'OWN', '-w', '/tmp', '-u', 'nobody', 'web', 'sh', '-c', script];
  assert.equal(await sandbox().must(args, { env: { OWN: 'of mine' } }), 'hello world of mine\n/tmp\nnobody\n');
});

test('flags after the name belong to the command in the guest (3.13)', async () => {
  assert.equal((await exec('web', 'echo', '-e', 'a\\tb', '--user', '-t')).stdout, 'a\tb --user -t\n');
  assert.equal((await exec('web', 'printf', '%s|', '--', '-o')).stdout, '--|-o|');
});

test('what docker users type works: no noun, -d, words that Node knows, the only VM unnamed, switches of ssh (3.13, 3.1, 6.4)', async () => {
  assert.equal(await sandbox().must(['exec', 'web', 'echo', '--env-file=.env']), '--env-file=.env\n');
  assert.equal(await sandbox().must(['exec', '-d', 'web', '--', 'sh', '-c', 'exec sleep 1000']), '');
  // It outlives the session that began it.
  await sandbox().must(['exec', 'web', 'sh', '-c', "until pkill -xf 'sleep 1000'; do sleep 0.1; done"]);
  const unnamed = await sandbox().banger(['exec', '--', 'id', '-un']);
  assert.deepEqual([unnamed.stdout, unnamed.stderr], ['root\n', 'taking web, the only VM\n']);
  const forwards = await sandbox().banger(['ssh', 'root@web.vm', '-v', '-o', 'ServerAliveInterval=9', '--', 'echo', 'there']);
  assert.equal(forwards.stdout, 'there\n');
  assert.match(forwards.stderr, /debug1: /);
});

test('20 commands at once all get their turn, more than there are channels to the agent (3.13, 7.2)', async () => {
  const numbers = Array.from({ length: 20 }, (_, n) => String(n));
  const outcomes = await Promise.all(numbers.map((n) => exec('web', '--', 'sh', '-c', `sleep 3; echo ${n}`)));
  assert.deepEqual(
    outcomes.map(({ status, stdout }) => [status, stdout]),
    numbers.map((n) => [0, `${n}\n`]),
  );
  // Who has to wait is told so.
  for (const { stderr } of outcomes) assert.match(stderr, /^(banger: web has \d+ open sessions.*\n)?$/);
});

test('commands run while the services of the guest still start (3.3, 7.3)', async () => {
  const unit = '[Service]\\nType=oneshot\\nExecStart=sleep 600\\n[Install]\\nWantedBy=multi-user.target\\n';
  await guest(sandbox(), 'web').sh(`printf '${unit}' >/etc/systemd/system/slow.service; systemctl enable -q slow.service`);
  await sandbox().must(['vm', 'restart', 'web']);
  assert.equal(await guest(sandbox(), 'web').sh('hostname'), 'web');
  // Until systemd itself answers it is not known what it does.
  const health = await eventually(
    'an answer of systemd',
    async () => JSON.parse(await sandbox().must(['vm', 'health', 'web', '-o', 'json'])) as { agent: string; init: string },
    ({ init }) => init !== 'unknown',
  );
  assert.deepEqual([health.agent, health.init], ['ok', 'starting']);
  const wait = await sandbox().banger(['vm', 'wait', 'web', '--for', 'services', '--timeout', '1s']);
  assert.equal(wait.status, 124, wait.stderr);
});

/** A new one, in which the user of the sandbox may write. */
function openDirectory(t: TestContext, name: string): string {
  const directory = mkdtempSync(`${sandbox().directory}/${name}-`);
  chmodSync(directory, 0o777);
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

test('every row of the table of copies holds in a VM (11.10)', async (t) => {
  const rows = COPY_CASES.filter(({ only }) => only !== 'out');
  const directory = openDirectory(t, 'copies');
  for (const [at, row] of rows.entries()) {
    for (const [side, items] of [['near', row.source] as const, ['far', row.before] as const]) {
      mkdirSync(`${directory}/${side}/${at}`, { recursive: true });
      layOut(`${directory}/${side}/${at}`, items);
    }
  }
  await sandbox().must(['vm', 'cp', `${directory}/far`, 'web:/root']);
  for (const [at, { argv, title, isRefused, says }] of rows.entries()) {
    const from = argv[0] === '-' ? '-' : `${directory}/near/${at}/${argv[0]}`;
    const { status, stderr } = await sandbox().banger(['vm', 'cp', from, `web:/root/far/${at}/${argv[1]}`], { input: 'stdin' });
    assert.equal(status !== 0, isRefused, `${title}: ${stderr}`);
    assert.ok(stderr.includes(says), `${title}: ${stderr}`);
  }
  await sandbox().must(['vm', 'cp', 'web:/root/far', `${directory}/back`]);
  for (const [at, { title, after }] of rows.entries()) assert.deepEqual(look(`${directory}/back/${at}`), after, title);
});

test('in a file system that ignores case, the second of two equal names is refused, and a time that cannot be kept is reported (11.10)', async (t) => {
  const directory = openDirectory(t, 'cases');
  writeFileSync(`${directory}/fat`, fatDisk());
  for (const name of ['files', 'folders/D', 'folders/d', 'one']) mkdirSync(`${directory}/${name}`, { recursive: true });
  for (const name of ['files/A', 'files/a', 'folders/D/f', 'folders/d/f', 'one/A']) writeFileSync(`${directory}/${name}`, name);
  await sandbox().must(['vm', 'cp', `${directory}/fat`, 'web:/root/fat']);
  await guest(sandbox(), 'web').sh('modprobe -a loop vfat; mkdir /mnt/fat; mount -t vfat -o loop /root/fat /mnt/fat');
  for (const name of ['files', 'folders']) {
    const { status, stderr } = await sandbox().banger(['vm', 'cp', `${directory}/${name}`, 'web:/mnt/fat']);
    assert.equal(status, 1, stderr);
    assert.match(
      stderr,
      new RegExp(`/mnt/fat/${name}/[ad]/?: the file system there takes its name for that of another file of the copy`, 'i'),
    );
  }
  // What was there before has the name that it has. Times begin with 1980 there, which is said.
  utimesSync(`${directory}/one/A`, 0, new Date('1969-07-20'));
  const early = await sandbox().banger(['vm', 'cp', `${directory}/one`, 'web:/mnt/fat']);
  assert.equal(early.status, 0, early.stderr);
  assert.match(early.stderr, /\/mnt\/fat\/one\/A: the file system there cannot keep its time of change/);
  writeFileSync(`${directory}/one/a`, 'again');
  rmSync(`${directory}/one/A`);
  await sandbox().must(['vm', 'cp', `${directory}/one`, 'web:/mnt/fat']);
  assert.equal(await guest(sandbox(), 'web').sh('cat /mnt/fat/one/A'), 'again');
  // Nor does it lose one of two in a directory that was there, whose file by a third spelling gave way to the first.
  for (const name of ['files', 'folders']) {
    await guest(sandbox(), 'web').sh('rm -rf /mnt/fat/*; mkdir /mnt/fat/there /mnt/fat/there/sub; echo old >/mnt/fat/there/sub/A');
    mkdirSync(`${directory}/${name}/sub`);
    for (const file of ['b', 'B', 'a']) writeFileSync(`${directory}/${name}/sub/${file}`, file);
    const { status, stderr } = await sandbox().banger(['vm', 'cp', `${directory}/${name}/.`, 'web:/mnt/fat/there']);
    assert.equal(status, 1, stderr);
    assert.match(stderr, /\/mnt\/fat\/there\/(sub\/)?[adb]\/?: the file system there takes its name for that of another/i);
  }
  const untouched = 'rm -rf /mnt/fat/*; mkdir -p /mnt/fat/one; echo old >/mnt/fat/one/a; echo else >/mnt/fat/one/Else';
  await guest(sandbox(), 'web').sh(untouched);
  rmSync(`${directory}/one`, { recursive: true });
  for (const [name, text] of Object.entries({ A: 'new', else: 'other', third: '3' })) {
    mkdirSync(`${directory}/one`, { recursive: true });
    writeFileSync(`${directory}/one/${name}`, text);
  }
  await sandbox().must(['vm', 'cp', `${directory}/one/.`, 'web:/mnt/fat/one']);
  assert.equal(await guest(sandbox(), 'web').sh('cd /mnt/fat/one; cat a else third; ls | wc -l; cd /; umount /mnt/fat'), 'newother33');
});

test('a tree comes back from a VM as it went: names, times, modes, other names, holes (11.10)', async (t) => {
  const directory = openDirectory(t, 'tree');
  const script = `mkdir -p "$1/a/b"; cd "$1"; printf hi >a/f; ln a/f hard; ln -s /etc/hostname a/l; printf 1 >"$(printf 'caf\\351')"
    printf 2 >"$(printf 'caf\\352')"; touch -d '1960-01-02 03:04:05.6789' a/b; touch -d 2300-01-01 hard; chmod 604 hard; truncate -s 10G sparse
    printf end | dd of=sparse bs=1 seek=9000000000 conv=notrunc status=none`;
  execFileSync('sh', ['-c', script, 'sh', `${directory}/tree`]);
  await sandbox().must(['vm', 'cp', `${directory}/tree`, 'web:/root']);
  assert.equal(await guest(sandbox(), 'web').sh('stat -c %s /root/tree/sparse; du -sm /root/tree | cut -f1'), '10737418240\n1');
  await sandbox().must(['vm', 'cp', 'web:/root/tree', `${directory}/back`]);
  const facts = (name: string): string[] =>
    execFileSync('find', ['-printf', '%P %y %m %l %T@ %n\\n'], { cwd: `${directory}/${name}`, encoding: 'latin1' })
      .split('\n')
      .toSorted();
  assert.deepEqual(facts('back'), facts('tree'));
  assert.ok(statSync(`${directory}/back/sparse`).blocks < 100);
});

test('a disk that is named is read to its end (11.10)', async (t) => {
  const directory = openDirectory(t, 'disk');
  const script = 'cd /root; head -c 1048576 /dev/urandom >image; losetup -f --show image';
  const device = (await guest(sandbox(), 'web').sh(script)).trim();
  await sandbox().must(['vm', 'cp', `web:${device}`, `${directory}/disk`]);
  await sandbox().must(['vm', 'cp', 'web:/root/image', directory]);
  execFileSync('cmp', [`${directory}/disk`, `${directory}/image`]);
  await guest(sandbox(), 'web').sh(`losetup -d ${device}`);
});

test('a log that is written to and rotated is copied out, and a disk that is full ends a copy with its name (11.10)', async (t) => {
  const web = guest(sandbox(), 'web');
  await web.sh('mkdir -p /root/log /root/tiny; mount -t tmpfs -o size=1m none /root/tiny; head -c 2000000 /dev/zero >/root/log/a');
  const loop = 'until [ -e /root/stop ]; do echo line >>/root/log/a; cp /root/log/a /root/log/r; rm /root/log/r; done';
  const writer = sandbox().banger(['vm', 'exec', 'web', '--', 'sh', '-c', loop]);
  const directory = openDirectory(t, 'log');
  for (let i = 0; i < 3; i++) await sandbox().must(['vm', 'cp', 'web:/root/log', directory]);
  await web.sh('touch /root/stop');
  assert.equal((await writer).status, 0);
  writeFileSync(`${directory}/large`, randomBytes(3_000_000));
  const full = await sandbox().banger(['vm', 'cp', `${directory}/large`, 'web:/root/tiny']);
  assert.equal(full.status, 1);
  assert.match(full.stderr, /in web: \/root\/tiny\/large: it cannot be written: No space left on device/);
  assert.equal(await web.sh('ls -A /root/tiny'), '');
});

test('a program does the same by banger/client, as its page shows (1.1, 3.13, 6.1)', async (t) => {
  const port = await freePort();
  const directory = clientProgram(t, clientExample(1).replace('42_022', String(port)));
  chmodSync(directory, 0o777);
  const [program = '', ...args] = sandbox().argv([process.execPath, 'main.mjs']);
  const { stdout } = await promisify(execFile)(program, args, { env: sandbox().env, cwd: directory });
  assert.match(stdout, /^\{ status: 3, stdout: 'hello\\n', stderr: 'oops\\n' \}$/m);
  assert.match(stdout, /^port 22: no HTTP$/m);
  assert.match(stdout, new RegExp(`^127\\.0\\.0\\.1:${port} is open\n`, 'm'));
  assert.match(stdout, /^the guest speaks SSH-2\.0$/m);
  assert.equal(readFileSync(`${directory}/copied/note`, 'utf8'), '8 bytes\n');
  assert.equal(readFileSync(`${directory}/count`, 'utf8'), '8\n');
});
