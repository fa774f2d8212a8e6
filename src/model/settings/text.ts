import { formatSize } from '../../lib/size.ts';
import type { NumberKind } from './setting.ts';

const MIB = 1024 ** 2;

/** How values of a kind are written: for people, and exactly, as the word of a flag. */
export const WRITTEN: Readonly<Record<NumberKind, { text(value: number): string; word(value: number): string }>> = {
  count: { text: String, word: String },
  memory: { text: (mib) => formatSize(mib * MIB), word: (mib) => `${mib}M` },
  disk: { text: formatSize, word: (bytes) => `${Math.ceil(bytes / MIB)}M` },
};
