import type { Capability } from '../context/capability.ts';

/** The entrypoint of a container image that has no init of its own. */
export const entrypoint: Capability = {
  name: 'entrypoint',
  traits: { ofOwnSystem: true },
  guestConfig({ image }, draft) {
    if (image.initSystem !== 'none' || image.entrypoint === null) return;
    const { entrypoint: argv, env, user, workdir: directory, stopSignal } = image;
    draft.service = { argv, env, user, directory, ...(stopSignal === null ? {} : { stopSignal }) };
  },
};
