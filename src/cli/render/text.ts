// Text for a terminal: colours if the user wants them, and no control characters from a guest.
import { styleText } from 'node:util';
import { safeText } from '../../lib/terminal-text.ts';
import { isSet } from '../../lib/is-set.ts';
import type { Output } from '../streams.ts';

export type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'dim' | 'bold';

/** Colours `text` if `stream` is a terminal with colours (it respects NO_COLOR, FORCE_COLOR and TERM=dumb). */
export function paint(stream: Output, colour: Colour, text: string): string {
  return styleText(colour, text, { stream: stream });
}

/** Terminals that print escape sequences that they do not know, or are no real terminals. */
const NO_LINKS = /^(dumb|linux|vt\d+)?$/;

/** @returns `url`, on a terminal as a clickable link (OSC 8) */
export function hyperlink(stream: Output, url: string, env: NodeJS.ProcessEnv = process.env): string {
  if (stream.isTTY !== true || isSet(env['BANGER_PLAIN']) || NO_LINKS.test(env['TERM'] ?? '')) return url;
  return `\u001b]8;;${url}\u001b\\${url}\u001b]8;;\u001b\\`;
}

/** The escape sequences that banger itself writes: colours, links, and the start of a redrawn line. */
// eslint-disable-next-line no-control-regex
const OURS = /(\u001b\[[0-9;]*m|\u001b\]8;;[\u0020-\u007e]*\u001b\\|\r\u001b\[2K)/;

/**
 * The last check before a terminal: text that a command forgot to escape can do no more than colour a line.
 * @param text with banger's own colours and links
 */
export function guarded(text: string): string {
  return text
    .split(OURS)
    .map((piece, at) => (at % 2 === 1 ? piece : safeText(piece)))
    .join('');
}

/** Passes on a log, safe to print however the input is split. @param escape default: as text for people */
export async function* safeLog(log: AsyncIterable<Buffer>, escape: (text: string) => string = safeText): AsyncGenerator<Buffer> {
  const decoder = new TextDecoder();
  let held = '';
  for await (const chunk of log) {
    const text = held + decoder.decode(chunk, { stream: true });
    // The next chunk may bring the line feed that ends a carriage return, or the other half of a surrogate pair.
    held = /[\r\ud800-\udbff]+$/.exec(text)?.[0] ?? '';
    if (text.length > held.length) yield Buffer.from(escape(text.slice(0, text.length - held.length)));
  }
  const rest = escape(held + decoder.decode());
  if (rest !== '') yield Buffer.from(rest);
}
