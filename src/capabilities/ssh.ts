import { BangerError } from '../model/errors.ts';
import type { Capability } from './capability.ts';

/** Login by key: the host key is made here and given to the guest, so that it is known and never trusted blindly. */
export const ssh: Capability = {
  name: 'ssh',
  prepare: {
    name: 'ssh-key',
    title: 'SSH host key',
    async apply({ vm, paths, services, update }) {
      const key = services.makeSshHostKey();
      await services.host.writeFileAtomic(paths.sshHostKey, key.private);
      await services.host.writeFileAtomic(paths.knownHosts, `banger-${vm.id} ${key.public}\n`);
      update({ sshHostKey: key.public });
    },
    undo: async ({ paths, services }) => {
      await services.host.removeTree(paths.sshHostKey);
      await services.host.removeTree(paths.knownHosts);
    },
  },
  async guestConfig({ vm, paths, services }, draft) {
    const privateKey = await services.host.readIfThere(paths.sshHostKey);
    if (privateKey === undefined || vm.sshHostKey === null) {
      throw new BangerError('NOT_FOUND', `the SSH host key of ${vm.name} is gone (${paths.sshHostKey})`);
    }
    draft.sshHostKey = { private: privateKey, public: vm.sshHostKey };
    draft.authorizedKeys.push(await services.clientPublicKey());
  },
};
