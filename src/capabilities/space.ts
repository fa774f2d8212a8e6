import type { Capability } from '../context/capability.ts';
import { watchSpace } from './space-watch.ts';

/** Room on the host for the guest's writes. */
export const space: Capability = { name: 'space', companion: { whilePowered: watchSpace } };
