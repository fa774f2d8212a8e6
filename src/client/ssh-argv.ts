import type { SshAccess, SshLogin } from '../api/schemas.ts';
import { shellWord } from '../lib/shell-word.ts';
import { checkedAccess, checkedLogin, sshConfigValue } from './ssh-values.ts';

/** ssh_config(5) gives `%` a meaning in ProxyCommand. */
function percentEscape(text: string): string {
  return text.replaceAll('%', '%%');
}

/** Values in `-o Name=value` may be quoted, so that paths may contain blanks (ssh_config(5)). */
function quoted(path: string): string {
  return `"${percentEscape(path)}"`;
}

function proxyCommand(argv: readonly string[]): string {
  const remedy = 'set variables of banger to paths without quotes, and install it in such a one';
  return percentEscape(argv.map((word) => shellWord(sshConfigValue(word, remedy))).join(' '));
}

/** Options of every connection to a VM, by the names of ssh_config(5). */
function commonSettings(paths: { proxy: string; knownHosts: string; privateKeyPath: string }): Record<string, string> {
  return {
    ProxyCommand: paths.proxy,
    UserKnownHostsFile: paths.knownHosts,
    GlobalKnownHostsFile: 'none',
    StrictHostKeyChecking: 'yes',
    UpdateHostKeys: 'no',
    IdentityFile: quoted(paths.privateKeyPath),
    IdentitiesOnly: 'yes',
    // The stream never leaves this machine, so prefer ciphers that an emulated guest computes quickly.
    KexAlgorithms: 'curve25519-sha256',
    Compression: 'no',
    ServerAliveInterval: '15',
    ServerAliveCountMax: '4',
  };
}

/** What the user adds to a connection. */
type Login = {
  /** Switches of ssh, as readSshWords finds them. */
  options: readonly string[];
  /** User in the guest; default: the user for whom banger has a key. */
  user?: string | undefined;
};

function forwardsAgent(options: readonly string[]): boolean {
  return options.some((word, at) => /^-[A-Za-z46]*A/.test(word) || (options[at - 1] === '-o' && /^ForwardAgent[ =]+(?!no)/i.test(word)));
}

function namesUser(options: readonly string[]): boolean {
  return options.some((word, at) => word === '-l' || (options[at - 1] === '-o' && /^User[ =]/i.test(word)));
}

/**
 * The whole command line of ssh. The user's own configuration does not apply, so no `Host *` in it can redirect the connection. The host
 * key is the one that banger gave to the guest, so nobody has to trust an unknown key.
 * @param proxyArgv runs banger's own proxy, which connects stdio with sshd in the guest
 * @param command empty for a login shell
 * @throws UNSUPPORTED for values that ssh's options cannot hold
 */
export function sshArgv(access: SshAccess, proxyArgv: readonly string[], command: readonly string[], login: Login): string[] {
  checkedAccess(access);
  const settings = {
    ...commonSettings({
      proxy: proxyCommand(proxyArgv),
      knownHosts: quoted(access.knownHostsPath),
      privateKeyPath: access.privateKeyPath,
    }),
    HostKeyAlias: access.hostKeyAlias,
    // -A passes on the user's ssh agent; IdentitiesOnly keeps its keys from being offered to the guest.
    IdentityAgent: forwardsAgent(login.options) ? 'SSH_AUTH_SOCK' : 'none',
    PreferredAuthentications: 'publickey',
    LogLevel: 'ERROR',
  };
  return [
    'ssh',
    '-F',
    'none',
    // Of two values, ssh uses the first.
    ...login.options,
    ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
    ...(namesUser(login.options) ? [] : ['-l', login.user ?? access.user]),
    '--',
    access.hostKeyAlias,
    ...(command.length === 0 ? [] : [command.length === 1 ? (command[0] ?? '') : command.map(shellWord).join(' ')]),
  ];
}

/**
 * A file for `Include` in ssh_config(5), by which `ssh web.vm`, and any program that starts ssh, reaches VMs by name. It names no VM, so it
 * stays valid when VMs come and go.
 * @param proxyArgv runs banger's own proxy; `--known-hosts FILE NAME` is added
 * @param knownHostsDirectory where the proxy writes the VM's host key, before ssh reads it
 * @throws UNSUPPORTED for values that ssh_config(5) cannot hold
 */
export function sshConfigText(login: SshLogin, proxyArgv: readonly string[], knownHostsDirectory: string): string {
  checkedLogin(login);
  const knownHosts = `${percentEscape(sshConfigValue(knownHostsDirectory))}/%h`;
  // In single quotes, because a host name may come from the address of a stranger's repository.
  const proxy = `${proxyCommand(proxyArgv)} --known-hosts '${knownHosts}' '%h'`;
  const settings = {
    User: login.user,
    ...commonSettings({ proxy, knownHosts: `"${knownHosts}"`, privateKeyPath: login.privateKeyPath }),
    CheckHostIP: 'no',
  };
  return [
    '# Written by `banger ssh-config`, which replaces it as a whole.',
    'Host *.vm',
    ...Object.entries(settings).map(([name, value]) => `  ${name} ${value}`),
    '',
  ].join('\n');
}
