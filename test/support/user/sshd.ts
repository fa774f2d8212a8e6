// A real sshd on loopback for one sandbox, run as its user, and an ssh that reaches it. The program comes from the runtime bundle's root
// file system, so that the machine needs no SSH server.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseManifest } from '../../../src/images/bundle/manifest.ts';
import { bundlePath } from '../../../src/model/image.ts';
import { freePort, type Sandbox } from '../machine/sandbox.ts';
import { bundleOfTests } from '../images/shared-bundle.ts';

export type SshServer = {
  /** `user@127.0.0.1:port`. */
  address: string;
  /** Contains an `ssh` that knows key and host key, and shares connections like a user's ControlMaster. */
  binDirectory: string;
  /** The log of sshd. */
  log(): string;
  close(): Promise<void>;
};

/** The places of Debian's sshd and its own programs. */
const SSHD = '/usr/sbin/sshd';

/** Starts it; sessions get the environment of the sandbox. */
export async function startSshd(sandbox: Sandbox): Promise<SshServer> {
  const run = (script: string): string => {
    const [program = '', ...args] = sandbox.argv(['sh', '-ec', script]);
    return execFileSync(program, args, { env: sandbox.env, cwd: '/', encoding: 'utf8' }).trim();
  };
  const directory = join(sandbox.directory, 'home', 'sshd');
  run(`mkdir -m 755 '${directory}' '${directory}/bin'`);
  const sshd = join(directory, 'sshd');
  execFileSync('debugfs', ['-R', `dump ${SSHD} ${sshd}`, rootFileSystem()], { stdio: 'ignore' });
  chmodSync(sshd, 0o755);
  const user = run('id -un');
  const port = await freePort();
  const session = Object.entries(sandbox.env).filter(([name]) => name.startsWith('BANGER_') || name === 'PATH');
  const settings = [
    ...[`Port ${port}`, 'ListenAddress 127.0.0.1', `HostKey ${directory}/host_key`, `AuthorizedKeysFile ${directory}/user_key.pub`],
    ...['PidFile none', 'UsePAM no', 'StrictModes no', 'PasswordAuthentication no', 'KbdInteractiveAuthentication no'],
    `SetEnv ${session.map(([name, value]) => `"${name}=${value}"`).join(' ')}`,
  ];
  const client = [
    ...[`IdentityFile ${directory}/user_key`, 'IdentitiesOnly yes', 'IdentityAgent none', `UserKnownHostsFile ${directory}/known_hosts`],
    ...['ControlMaster auto', `ControlPath ${directory}/c%p`, 'ControlPersist 60'],
  ];
  run(`cd '${directory}'
ssh-keygen -q -t ed25519 -N '' -f host_key
ssh-keygen -q -t ed25519 -N '' -f user_key
echo "[127.0.0.1]:${port} $(cat host_key.pub)" >known_hosts
cat >sshd_config <<'END'
${settings.join('\n')}
END
cat >ssh_config <<'END'
${client.join('\n')}
END
printf '#!/bin/sh\\nexec /usr/bin/ssh -F %s "$@"\\n' '${directory}/ssh_config' >bin/ssh
chmod 755 bin/ssh`);
  const [program = '', ...args] = sandbox.argv([sshd, '-D', '-e', '-f', join(directory, 'sshd_config')]);
  const server = spawn(program, args, { env: sandbox.env, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  const listening = new Promise<void>((resolve, reject) => {
    server.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text;
      if (log.includes('Server listening')) resolve();
    });
    server.on('exit', (status) => reject(new Error(`sshd ended with ${status}: ${log}`)));
  });
  await listening;
  return {
    address: `${user}@127.0.0.1:${port}`,
    binDirectory: join(directory, 'bin'),
    log: () => log,
    close: async () => {
      run(`'${directory}/bin/ssh' -O exit -p ${port} 127.0.0.1 2>/dev/null || true`);
      const ended = once(server, 'exit');
      server.kill();
      await ended;
    },
  };
}

function rootFileSystem(): string {
  const directory = bundleOfTests() ?? '';
  const path = join(directory, 'bundle.json');
  return bundlePath({ directory, manifest: parseManifest(readFileSync(path, 'utf8'), path) }, 'rootfs');
}
