import type { VmContext } from '../context/vm-context.ts';
import { BangerError } from '../model/errors.ts';
import type { Capability } from '../context/capability.ts';

/** Login by key. banger makes the host key and gives it to the guest, so nobody has to trust an unknown key. */
export const ssh: Capability = {
  name: 'ssh',
  prepare: {
    name: 'ssh-key',
    title: 'SSH host key',
    apply: makeKey,
    undo: async ({ paths, services }) => {
      await services.world.files.removeTree(paths.sshHostKey);
      await services.world.files.removeTree(paths.knownHosts);
    },
  },
  async guestConfig({ vm, paths, services }, draft) {
    const privateKey = await services.world.files.readIfThere(paths.sshHostKey);
    if (privateKey === undefined || vm.sshHostKey === null) {
      throw new BangerError('NOT_FOUND', `the SSH host key of ${vm.name} is missing (${paths.sshHostKey})`);
    }
    draft.sshHostKey = { private: privateKey, public: vm.sshHostKey };
    draft.authorizedKeys.push(await services.vms.clientPublicKey());
  },
  async doctor(context) {
    const { vm, paths, services } = context;
    const base = { name: 'ssh', vm: vm.name, code: 'NOT_FOUND', remedy: 'banger doctor --fix' } as const;
    if (vm.sshHostKey === null || !(await services.world.files.exists(paths.sshHostKey))) {
      const reason = `the SSH host key of ${vm.name} is missing (${paths.sshHostKey})`;
      // The running guest has the old key, and ssh must still accept it.
      if (vm.runtime?.process !== undefined)
        return [{ ...base, level: 'warn', reason, remedy: `banger vm stop ${vm.name} && banger doctor --fix` }];
      return [
        {
          ...base,
          level: 'fail',
          reason,
          fix: { did: 'made a new key, which the guest gets at its next start', apply: () => makeKey(context) },
        },
      ];
    }
    if (await services.world.files.exists(paths.knownHosts)) return [];
    const reason = `ssh does not know the host key of ${vm.name} (${paths.knownHosts} is missing)`;
    const apply = (): Promise<void> => services.world.files.writeFileAtomic(paths.knownHosts, knownHost(vm, vm.sshHostKey ?? ''));
    return [{ ...base, level: 'warn', reason, fix: { did: `wrote ${paths.knownHosts}`, apply } }];
  },
};

async function makeKey({ paths, services, update, vm }: VmContext): Promise<void> {
  const key = services.world.ids.newSshHostKey();
  await services.world.files.writeFileAtomic(paths.sshHostKey, key.private);
  await services.world.files.writeFileAtomic(paths.knownHosts, knownHost(vm, key.public));
  update({ sshHostKey: key.public });
}

/** A line of known_hosts, under an alias that no address or name of the VM can change. */
const knownHost = (vm: { id: string }, publicKey: string): string => `banger-${vm.id} ${publicKey}\n`;
