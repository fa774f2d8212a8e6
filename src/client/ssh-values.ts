// Values that ssh's own formats can hold. Any other value would end its line, its word or its quotes, and the rest would become a setting.
import type { SshAccess, SshLogin } from '../api/schemas.ts';
import { BangerError } from '../model/errors.ts';

/** Control characters end lines; quotes and backslashes cannot be written (ssh_config(5)); `${` names a variable in the names of files. */
// eslint-disable-next-line no-control-regex
const UNWRITABLE = /["'\\\u0000-\u001f\u007f]|\$\{/;

/** User names as useradd(8) allows them: none has a special meaning for ssh or a shell, in particular no leading dash. */
const USER = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;

/** What HostKeyAlias and the argument of ssh can be. */
const ALIAS = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,253}$/;

/**
 * @param value a path, or a word of a command; spaces and `%` are allowed
 * @returns the value @throws UNSUPPORTED
 */
export function sshConfigValue(value: string, remedy = 'set BANGER_STATE_DIR to a directory without quotes in its path'): string {
  if (!UNWRITABLE.test(value)) return value;
  throw new BangerError('UNSUPPORTED', `ssh_config cannot express ${JSON.stringify(value)}`, { remedy });
}

/** The path of an `Include`: ssh treats it as a pattern, and newer versions expand tokens. @throws UNSUPPORTED */
export function sshIncludePath(path: string): string {
  if (!/[*?[\]%~]/.test(sshConfigValue(path))) return path;
  throw new BangerError('UNSUPPORTED', `ssh would take ${JSON.stringify(path)} for a pattern`, {
    remedy: 'set BANGER_STATE_DIR to a directory without wildcards in its path',
  });
}

/** Checks what the daemon says about logging in. @throws UNSUPPORTED */
export function checkedLogin<Login extends SshLogin>(login: Login): Login {
  const { user, privateKeyPath } = login;
  if (!USER.test(user)) throw strange('user', user);
  if (!privateKeyPath.startsWith('/')) throw strange('path of the key', privateKeyPath);
  sshConfigValue(privateKeyPath);
  return login;
}

/** The same for one VM. @throws UNSUPPORTED */
export function checkedAccess(access: SshAccess): SshAccess {
  if (!ALIAS.test(access.hostKeyAlias)) throw strange('name of the host key', access.hostKeyAlias);
  if (!access.knownHostsPath.startsWith('/')) throw strange('path of known hosts', access.knownHostsPath);
  sshConfigValue(access.knownHostsPath);
  return checkedLogin(access);
}

function strange(what: string, value: string): BangerError {
  return new BangerError('UNSUPPORTED', `ssh cannot use the ${what} that the daemon gave: ${JSON.stringify(value.slice(0, 200))}`, {
    remedy: 'banger daemon restart',
  });
}
