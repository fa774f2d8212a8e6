import type { Capability } from '../context/capability.ts';
import { watchClock } from './clock-watch.ts';

/** Gives the guest the host's time. */
export const clock: Capability = { name: 'clock', companion: { whileUp: watchClock } };
