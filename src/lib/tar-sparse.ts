// Files with holes in archives: only data is stored, and a map gives its positions.
import { type SparseMap, TAR_BLOCK_BYTES, TarProblem } from './tar-entry.ts';

/** More pieces than any file has that was not made to do harm. */
export const MOST_PIECES = 100_000;
/** The largest file of ext4 with blocks of 4 KiB. */
const MOST_FILE_BYTES = 16 * 1024 ** 4;

/**
 * @param words offset and length of each piece in turn, decimal
 * @param storedBytes the sum of all pieces
 * @throws TarProblem
 */
export function parseSparseList(words: readonly string[], sizeBytes: number, storedBytes: number): SparseMap {
  const numbers = words.map((word) => (/^\d{1,16}$/.test(word) ? Number(word) : Number.NaN));
  const pieces = [];
  for (let at = 0; at + 1 < numbers.length; at += 2) pieces.push({ at: numbers[at] ?? 0, sizeBytes: numbers[at + 1] ?? 0 });
  return checkedMap({ sizeBytes, pieces }, storedBytes, numbers.length % 2 === 0);
}

/** @throws TarProblem unless the pieces are in order, within the file, and add up to the stored bytes */
export function checkedMap(map: SparseMap, storedBytes: number, isWhole = true): SparseMap {
  let end = 0;
  let total = 0;
  let isFine = isWhole && map.pieces.length <= MOST_PIECES && Number.isSafeInteger(map.sizeBytes) && map.sizeBytes <= MOST_FILE_BYTES;
  for (const { at, sizeBytes } of map.pieces) {
    isFine &&= at >= end && Number.isSafeInteger(at + sizeBytes);
    end = at + sizeBytes;
    total += sizeBytes;
  }
  if (isFine && end <= map.sizeBytes && total === storedBytes) return map;
  throw new TarProblem('the archive is damaged (map of a file with holes)');
}

/** @returns the map in the form of GNU tar's version 1.0, which precedes the data, in whole blocks */
export function encodeSparseMap({ pieces, sizeBytes }: SparseMap): Buffer {
  // A file ends with its last piece, in GNU tar too: a piece of no bytes marks the end.
  const all = [...pieces.filter((piece) => piece.sizeBytes > 0), { at: sizeBytes, sizeBytes: 0 }];
  const words = [all.length, ...all.flatMap((piece) => [piece.at, piece.sizeBytes])];
  const text = Buffer.from(words.map((word) => `${word}\n`).join(''));
  return Buffer.concat([text, Buffer.alloc((TAR_BLOCK_BYTES - (text.length % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES)]);
}
