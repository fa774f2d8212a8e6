import { join } from 'node:path';
import type { SshHostKey } from '../guest/ssh-host-key.ts';
import type { HostPort } from '../context/host-port.ts';

type KeyTools = { host: Pick<HostPort, 'exists' | 'readIfThere' | 'writeFileAtomic'>; makeKey: () => SshHostKey };

/**
 * The key with which this installation logs in, made on first use. It is not the bundle's key: several users may share a bundle, and ssh
 * refuses a key that others can read.
 */
export function clientKey(stateDirectory: string, { host, makeKey }: KeyTools): { path(): Promise<string>; publicKey(): Promise<string> } {
  const privatePath = join(stateDirectory, 'id_ed25519');
  let making: Promise<string> | undefined;

  async function readOrMake(): Promise<string> {
    const known = await host.readIfThere(`${privatePath}.pub`);
    if (known !== undefined && (await host.exists(privatePath))) return known.trim();
    const key = makeKey();
    await host.writeFileAtomic(privatePath, key.private);
    // Last, because its existence means that the pair is complete.
    await host.writeFileAtomic(`${privatePath}.pub`, `${key.public}\n`, 0o644);
    return key.public;
  }

  const publicKey = (): Promise<string> => {
    making ??= readOrMake().finally(() => (making = undefined));
    return making;
  };
  return { publicKey, path: () => publicKey().then(() => privatePath) };
}
