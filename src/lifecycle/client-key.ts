import { join } from 'node:path';
import { makeSshHostKey } from '../guest/ssh-host-key.ts';
import { realHost } from '../host/host.ts';

/**
 * The key that this installation logs in with (7.4), made when it is first needed. It is not the bundle's: a bundle may be
 * shared by several users, and ssh refuses a key that others can read.
 */
export function clientKey(stateDirectory: string): { path(): Promise<string>; publicKey(): Promise<string> } {
  const privatePath = join(stateDirectory, 'id_ed25519');
  let making: Promise<string> | undefined;

  async function readOrMake(): Promise<string> {
    const known = await realHost.readIfThere(`${privatePath}.pub`);
    if (known !== undefined && (await realHost.exists(privatePath))) return known.trim();
    const key = makeSshHostKey();
    await realHost.writeFileAtomic(privatePath, key.private);
    // Last, because its presence says that the pair is whole.
    await realHost.writeFileAtomic(`${privatePath}.pub`, `${key.public}\n`, 0o644);
    return key.public;
  }

  const publicKey = (): Promise<string> => {
    making ??= readOrMake().finally(() => (making = undefined));
    return making;
  };
  return { publicKey, path: () => publicKey().then(() => privatePath) };
}
