import { formatDuration } from '../../lib/duration.ts';
import { formatSize } from '../../lib/size.ts';
import type { NumberKind } from './setting.ts';

const MIB = 1024 ** 2;
/** The word for a duration of 0, and for a text that is taken back. */
export const NEVER = 'never';

/** How values of a kind are written: for people, and exactly, as the word of a flag. */
export const WRITTEN: Readonly<Record<NumberKind, { text(value: number): string; word(value: number): string }>> = {
  count: { text: String, word: String },
  memory: { text: (mib) => formatSize(mib * MIB), word: (mib) => `${mib}M` },
  duration: {
    text: (seconds) => (seconds === 0 ? NEVER : formatDuration(seconds * 1000)),
    word: (seconds) => (seconds === 0 ? NEVER : `${seconds}s`),
  },
  disk: { text: formatSize, word: (bytes) => `${Math.ceil(bytes / MIB)}M` },
};
