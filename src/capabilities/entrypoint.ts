import type { Capability } from '../context/capability.ts';

/** What the image of a container runs, where no init of its own would. */
export const entrypoint: Capability = {
  name: 'entrypoint',
  traits: { ofOwnSystem: true },
  guestConfig({ image }, draft) {
    if (image.initSystem !== 'none' || image.entrypoint === null) return;
    const { entrypoint: argv, env, user, workdir: directory, stopSignal } = image;
    draft.service = { argv, env, user, directory, ...(stopSignal === null ? {} : { stopSignal }) };
  },
};
