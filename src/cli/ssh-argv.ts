import type { SshAccess } from '../api/schemas.ts';

/** @returns `text` as one word for /bin/sh */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** ssh_config(5) gives `%` a meaning in ProxyCommand. */
function percentEscape(text: string): string {
  return text.replaceAll('%', '%%');
}

/** Values in `-o Name=value` may be quoted, which keeps blanks in paths together (ssh_config(5)). */
function quoted(path: string): string {
  return `"${percentEscape(path)}"`;
}

/**
 * The whole command line of ssh. Nothing of the user's own configuration takes part, so that a `Host *` of theirs cannot
 * redirect it; the host key is the one that banger gave to the guest, so nothing is trusted blindly (6.4).
 * @param proxyArgv runs banger's own proxy, which connects stdio with sshd in the guest
 * @param command empty for a login shell
 */
export function sshArgv(access: SshAccess, proxyArgv: readonly string[], command: readonly string[], options: { tty: boolean }): string[] {
  const settings = {
    ProxyCommand: percentEscape(proxyArgv.map(shellWord).join(' ')),
    HostKeyAlias: access.hostKeyAlias,
    UserKnownHostsFile: quoted(access.knownHostsPath),
    GlobalKnownHostsFile: 'none',
    StrictHostKeyChecking: 'yes',
    UpdateHostKeys: 'no',
    IdentityFile: quoted(access.privateKeyPath),
    IdentitiesOnly: 'yes',
    IdentityAgent: 'none',
    PreferredAuthentications: 'publickey',
    // The stream never leaves this machine; what is cheap to compute in an emulated guest is what counts.
    KexAlgorithms: 'curve25519-sha256',
    Compression: 'no',
    ServerAliveInterval: '15',
    ServerAliveCountMax: '4',
    LogLevel: 'ERROR',
  };
  return [
    'ssh',
    '-F',
    'none',
    ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
    ...(options.tty ? ['-t'] : []),
    '-l',
    access.user,
    '--',
    access.hostKeyAlias,
    ...(command.length === 0 ? [] : [command.length === 1 ? (command[0] ?? '') : command.map(shellWord).join(' ')]),
  ];
}
