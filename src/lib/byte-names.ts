// File names are bytes. In text, bytes that are not UTF-8 become lone surrogates, so that different names stay different and each can be
// written again unchanged: byte 0xNN is U+DCNN, as in Python's PEP 383.
import { isUtf8 } from 'node:buffer';

const FIRST_ESCAPE = 0xdc80;
const LAST_ESCAPE = 0xdcff;
/** Characters that JSON permits and terminals obey: DEL, C1, and marks that change the direction of text. */
const ACTING = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** @returns the name as text; equal texts are equal bytes */
export function decodeName(bytes: Buffer): string {
  return isUtf8(bytes) ? bytes.toString('utf8') : escaped(bytes);
}

function escaped(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes, at);
    text += length === 0 ? String.fromCharCode(0xdc00 + (bytes[at] ?? 0)) : bytes.toString('utf8', at, at + length);
    at += Math.max(length, 1);
  }
  return text;
}

/** @returns how many bytes of UTF-8 form the character there; 0 if they form none */
function sequenceLength(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  return at + length <= bytes.length && isUtf8(bytes.subarray(at, at + length)) ? length : 0;
}

/** @returns the bytes of a name from `decodeName`, or of any text */
export function encodeName(name: string): Buffer {
  if (name.isWellFormed()) return Buffer.from(name);
  const parts: Buffer[] = [];
  for (const character of name) {
    const code = character.codePointAt(0) ?? 0;
    const isEscape = code >= FIRST_ESCAPE && code <= LAST_ESCAPE;
    parts.push(isEscape ? Buffer.from([code - 0xdc00]) : Buffer.from(character));
  }
  return Buffer.concat(parts);
}

/** @returns the name for people: bytes that are not UTF-8 as `\xNN`, and terminal control characters escaped as in JSON */
export function quoteName(name: string): string {
  return JSON.stringify(name)
    .replace(/\\udc([89a-f][0-9a-f])/g, '\\x$1')
    .replace(ACTING, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
