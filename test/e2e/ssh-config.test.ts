// Whatever starts ssh reaches a VM by its name, through the file that `ssh-config` writes (6.4). One VM for all of it.
import assert from 'node:assert/strict';
import { spawn, type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createVm, eventually, type GuestHandle, guest, useSandbox } from '../support/machine/e2e.ts';
import { giveGuest } from '../support/guest/program-for-guest.ts';
import { freePort } from '../support/machine/sandbox.ts';

const sandbox = useSandbox();
const home = (...below: string[]): string => join(sandbox().directory, 'home', ...below);
/** ssh takes the home directory of the user from passwd: a test that is not root must not touch that one. */
const OF_CONFIG = process.getuid?.() === 0 ? '' : '-F "$HOME/.ssh/config"';
const SSH = `ssh ${OF_CONFIG}`;
/** What the user has already. */
const OWN_CONFIG = '# mine\nHost *\n  User somebody\n  StrictHostKeyChecking no\n';

/** Runs a line of shell as the user. */
function sh(script: string, input = ''): SpawnSyncReturns<string> {
  const [program = '', ...args] = sandbox().argv(['sh', '-c', script]);
  return spawnSync(program, args, { env: sandbox().env, cwd: '/', input, encoding: 'utf8', timeout: 180_000 });
}

function must(script: string, input?: string): string {
  const { status, stdout, stderr } = sh(script, input);
  assert.equal(status, 0, `${script}\n${stdout}${stderr}`);
  return stdout.trim();
}

/** @returns the path of a program in the guest that answers an HTTP request on its stdin */
async function answerProgram(web: GuestHandle, text: string): Promise<string> {
  const path = `/srv/answer-${text}`;
  await web.sh(`cat >${path} && chmod 755 ${path}`, {
    input: `#!/bin/sh\nread -r request\nprintf 'HTTP/1.0 200 OK\\r\\nContent-Length: ${text.length}\\r\\n\\r\\n${text}'\n`,
  });
  return path;
}

test('ssh-config --install writes a private file and one line, once, and ssh then knows the VM and its key (6.4)', async () => {
  must(`mkdir -m 700 "$HOME/.ssh" && printf '%s' '${OWN_CONFIG}' >"$HOME/.ssh/config"`);
  await createVm(sandbox(), 'web');
  const path = (await sandbox().must(['ssh-config', '--install'])).trim();
  assert.equal(path, join(sandbox().directory, 'state/ssh/ssh_config'));
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const installed = readFileSync(home('.ssh/config'), 'utf8');
  assert.equal(installed, `Include "${path}" # banger\n${OWN_CONFIG}`);
  assert.match((await sandbox().banger(['ssh-config', '--install'])).stderr, /already included/);
  assert.equal(readFileSync(home('.ssh/config'), 'utf8'), installed);
  const ssh = sh(`${SSH} web.vm 'hostname; id -un; exit 7'`);
  assert.deepEqual([ssh.status, ssh.stdout, ssh.stderr], [7, 'web\nroot\n', '']);
  const access = JSON.parse(await apiGet('/v1/vms/web/ssh')) as { hostPublicKey: string };
  const known = readFileSync(join(sandbox().directory, 'state/ssh/known_hosts.d/web.vm'), 'utf8');
  assert.equal(known, `web.vm,[web.vm]:* ${access.hostPublicKey}\n`);
  assert.deepEqual(readdirSync(home('.ssh')), ['config'], 'nothing else of the user is touched');
});

function apiGet(path: string): Promise<string> {
  return Promise.resolve(must(`curl --silent --fail --unix-socket "$BANGER_RUNTIME_DIR/bangerd.sock" http://localhost${path}`));
}

/** In the guest: who may log in, and who was kept out on purpose. */
const USERS = `useradd -m -s /bin/bash dev; useradd -m -s /bin/bash left -e 2001-01-01; useradd -m -s /usr/sbin/nologin service
useradd -m -s /bin/bash locked; echo locked:secret | chpasswd; usermod -L locked; getent shadow dev | cut -d : -f 2`;

test("a user without a password logs in by the installation's key; locked or expired users, and those without a shell, do not (6.4)", async () => {
  assert.equal(await guest(sandbox(), 'web').sh(USERS), '!', 'as sshd takes for locked');
  assert.equal(must(`${SSH} dev@web.vm 'id -un; umask; pwd'`), 'dev\n0022\n/home/dev');
  assert.equal(must(`${SSH} web.vm id -un`), 'root');
  for (const user of ['left', 'locked', 'nobody-at-all'])
    assert.match(sh(`${SSH} ${user}@web.vm true`).stderr, /Permission denied \(publickey\)/, user);
  assert.notEqual(sh(`${SSH} service@web.vm true`).status, 0);
  const shadow = await guest(sandbox(), 'web').sh(
    'stat -c "%a %U %G" /etc/shadow; getent shadow dev service locked | cut -d : -f 2 | cut -c 1-2',
  );
  assert.equal(shadow, '640 root shadow\n*\n!\n!$');
});

test('sessions have the locale of the image, whatever locales the client has (6.4)', () => {
  const locales = `LANG=fr_FR.UTF-8 LC_ALL=de_DE.UTF-8 LC_CTYPE=UTF-8 LC_TIME=xx_XX`;
  const { stdout, stderr } = sh(
    `env ${locales} ${SSH} -o 'SendEnv=LANG LC_*' web.vm 'bash -lc "locale | grep -c C.UTF-8; printf äöü | wc -m; env | grep -c ^LC_"'`,
  );
  assert.deepEqual([stdout, stderr], ['13\n3\n0\n', '']);
});

test('sessions have what /etc/environment says, for every user, and commands as well as shells (6.4)', async () => {
  const lines = `TOOLS="a b # c"\nexport https_proxy=http://proxy.example.org:3128\nHOME=/nowhere\nODD=back\\\\slash\n`;
  await guest(sandbox(), 'web').sh(`printf '${lines}' >>/etc/environment`);
  for (const [user, homeOf] of [
    ['root', '/root'],
    ['dev', '/home/dev'],
  ])
    assert.equal(must(`${SSH} ${user}@web.vm 'echo "$TOOLS $https_proxy $HOME"'`), `a b # c http://proxy.example.org:3128 ${homeOf}`);
  await guest(sandbox(), 'web').sh("sed -i '/TOOLS/d; /https_proxy/d; /HOME/d; /ODD/d' /etc/environment");
});

test('a login from a terminal without a size or a known name can be worked in, also by plain ssh (3.13, 6.4)', () => {
  const login = (term: string): string =>
    sh(`TERM=${term} script --quiet --echo never --command '${SSH} -tt web.vm' /dev/null`, 'echo "[$TERM] [$(stty size)]"; exit\n').stdout;
  assert.match(login('no-such-terminal'), /\[xterm-256color\] \[24 80\]/);
  assert.match(login('alacritty'), /\[alacritty\] \[24 80\]/);
});

test('scp, sftp and rsync copy both ways (6.4)', async () => {
  await giveGuest(sandbox(), 'web', ['rsync', 'git', 'git-receive-pack', 'git-upload-pack']);
  mkdirSync(home('tree/deep'), { recursive: true });
  writeFileSync(home('tree/deep/a'), 'from the host\n', { mode: 0o745 });
  must(`scp -q ${OF_CONFIG} -r "$HOME/tree" web.vm:/srv/by-scp && scp -q ${OF_CONFIG} web.vm:/etc/hostname "$HOME/hostname"`);
  assert.equal(readFileSync(home('hostname'), 'utf8'), 'web\n');
  must(`sftp -q ${OF_CONFIG} -b - web.vm`, `put ${home('tree/deep/a')} /srv/by-sftp\nget /srv/by-scp/deep/a ${home('back')}\n`);
  assert.equal(readFileSync(home('back'), 'utf8'), 'from the host\n');
  must(`rsync -a -e "${SSH.replaceAll('"', '\\"')}" "$HOME/tree/" web.vm:/srv/by-rsync/`);
  must(`rsync -a -e "${SSH.replaceAll('"', '\\"')}" web.vm:/srv/by-rsync/ "$HOME/rsynced/"`);
  assert.equal(readFileSync(home('rsynced/deep/a'), 'utf8'), 'from the host\n');
  const seen = await guest(sandbox(), 'web').sh('cat /srv/by-scp/deep/a /srv/by-sftp; stat -c %a /srv/by-rsync/deep/a');
  assert.equal(seen, 'from the host\nfrom the host\n745');
});

test('git pushes to a repository in the guest and clones it back (6.4)', async () => {
  await guest(sandbox(), 'web').sh('git init -q --bare /srv/project.git');
  const own = `GIT_SSH_COMMAND='${SSH}' GIT_CONFIG_GLOBAL=/dev/null git -c user.name=A -c user.email=a@example.org`;
  must(`mkdir "$HOME/project" && cd "$HOME/project" && git init -q && echo hello >file && git add file && ${own} commit -qm first`);
  must(`cd "$HOME/project" && ${own} push -q web.vm:/srv/project.git HEAD:refs/heads/main`);
  must(`${own} clone -q --branch main ssh://web.vm/srv/project.git "$HOME/clone"`);
  assert.equal(readFileSync(home('clone/file'), 'utf8'), 'hello\n');
});

test('ssh -L brings a port of the guest to the host (6.4)', async () => {
  const web = guest(sandbox(), 'web');
  const program = await answerProgram(web, 'forwarded');
  await web.sh(`setsid systemd-socket-activate --listen=127.0.0.1:8000 --accept --inetd ${program} >/dev/null 2>&1 &`);
  const port = await freePort();
  const said = must(`${SSH} -f -o ExitOnForwardFailure=yes -L 127.0.0.1:${port}:127.0.0.1:8000 web.vm 'sleep 5' && \
    curl --silent --retry 5 --retry-connrefused http://127.0.0.1:${port}/`);
  assert.equal(said, 'forwarded');
});

/** What editors send to a shell at the other end before they install their server. */
const BOOTSTRAP = `
unset HISTFILE
echo "begin-$$: $(uname -s) $(uname -m)"
[ -n "$HOME" ] && [ -w "$HOME" ] && echo home-ok
echo "shell $SHELL"
. /etc/os-release && echo "os $ID"
for tool in tar gzip curl ps mkdir nohup sha256sum; do command -v $tool >/dev/null || echo "missing $tool"; done
(umask 077; mkdir -p "$HOME/.editor-server/bin")
ls -ld "$HOME/.editor-server" | cut -c1-10
nohup sh -c 'exec systemd-socket-activate --listen=127.0.0.1:36123 --accept --inetd /srv/answer-server' >"$HOME/.editor-server/log" 2>&1 &
echo "end $?"
cat >/dev/null
`;

test('an editor finds a shell, installs a server by it, and reaches that through -D on the same connection (6.4)', async () => {
  await answerProgram(guest(sandbox(), 'web'), 'server');
  const port = await freePort();
  const [program = '', ...args] = sandbox().argv(['sh', '-c', `exec ${SSH} -T -D 127.0.0.1:${port} -o ConnectTimeout=60 web.vm sh`]);
  const editor = spawn(program, args, { env: sandbox().env, cwd: '/', stdio: 'pipe' });
  const ended = new Promise((resolve) => editor.on('close', resolve));
  let said = '';
  editor.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  editor.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  try {
    editor.stdin.write(BOOTSTRAP);
    await eventually(
      'the bootstrap',
      () => said,
      (text) => text.includes('end 0'),
      120_000,
    );
    assert.match(said, /^begin-\d+: Linux x86_64\nhome-ok\nshell \/bin\/(ba|da)?sh\nos debian\ndrwx------\nend 0\n$/);
    const answer = must(`curl --silent --retry 8 --retry-all-errors --socks5-hostname 127.0.0.1:${port} http://127.0.0.1:36123/`);
    assert.equal(answer, 'server');
  } finally {
    editor.stdin.end();
    await ended;
  }
});

test('a guest with another key is refused, and an unknown or stopped VM has its own error (6.4)', async () => {
  const key = '/run/banger/ssh_host_ed25519_key';
  await guest(sandbox(), 'web').sh(`rm -f ${key}*; ssh-keygen -q -t ed25519 -N '' -f ${key}`);
  const imposter = sh(`${SSH} web.vm true`);
  assert.equal(imposter.status, 255);
  assert.match(imposter.stderr, /Host key verification failed|HOST IDENTIFICATION HAS CHANGED/);
  const unknown = sh(`${SSH} nobody.vm true`);
  assert.equal(unknown.status, 255);
  assert.match(unknown.stderr, /banger: there is no VM "nobody"/);
  await sandbox().must(['vm', 'stop', 'web']);
  const stopped = sh(`${SSH} web.vm true`);
  assert.match(stopped.stderr, /banger: .*\n {2}try: .*banger vm start web/);
});

test('ssh-config --remove leaves the configuration as it was, byte for byte (6.4)', async () => {
  await sandbox().must(['ssh-config', '--remove']);
  assert.equal(readFileSync(home('.ssh/config'), 'utf8'), OWN_CONFIG);
  assert.ok(!existsSync(join(sandbox().directory, 'state/ssh/ssh_config')));
  assert.ok(!existsSync(join(sandbox().directory, 'state/ssh/known_hosts.d')));
});
