import type { Capability } from '../context/capability.ts';
import { watchClock } from './clock-watch.ts';

/** The time of the host in the guest. */
export const clock: Capability = { name: 'clock', companion: { whileUp: watchClock } };
