// Text for a terminal: colours where they are wanted, and nothing that a guest could smuggle in.
import { styleText } from 'node:util';
import { safeText } from '../../lib/terminal-text.ts';
import { isSet } from '../../lib/is-set.ts';
import type { Output } from '../streams.ts';

export type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'dim' | 'bold';

/** Colours `text` when `stream` is a terminal that shows them (NO_COLOR, FORCE_COLOR and TERM=dumb count). */
export function paint(stream: Output, colour: Colour, text: string): string {
  return styleText(colour, text, { stream: stream });
}

/** Terminals that show what they do not understand, or are none. */
const NO_LINKS = /^(dumb|linux|vt\d+)?$/;

/** @returns `url`, on a terminal as a link that can be clicked (OSC 8) */
export function hyperlink(stream: Output, url: string, env: NodeJS.ProcessEnv = process.env): string {
  if (stream.isTTY !== true || isSet(env['BANGER_PLAIN']) || NO_LINKS.test(env['TERM'] ?? '')) return url;
  return `\u001b]8;;${url}\u001b\\${url}\u001b]8;;\u001b\\`;
}

/** What we write on purpose: colours, links, and the beginning of a line that is drawn again. */
// eslint-disable-next-line no-control-regex
const OURS = /(\u001b\[[0-9;]*m|\u001b\]8;;[\u0020-\u007e]*\u001b\\|\r\u001b\[2K)/;

/**
 * The last look before a terminal: whatever a command forgot to make safe can do no more than to colour a line.
 * @param text with our own colours and links
 */
export function guarded(text: string): string {
  return text
    .split(OURS)
    .map((piece, at) => (at % 2 === 1 ? piece : safeText(piece)))
    .join('');
}

/** Passes on a log, safe to show however it is cut. @param escape default: as text for people */
export async function* safeLog(log: AsyncIterable<Buffer>, escape: (text: string) => string = safeText): AsyncGenerator<Buffer> {
  const decoder = new TextDecoder();
  let held = '';
  for await (const chunk of log) {
    const text = held + decoder.decode(chunk, { stream: true });
    // A line end may follow, which takes it away; half of a pair is no character yet.
    held = /[\r\ud800-\udbff]+$/.exec(text)?.[0] ?? '';
    if (text.length > held.length) yield Buffer.from(escape(text.slice(0, text.length - held.length)));
  }
  const rest = escape(held + decoder.decode());
  if (rest !== '') yield Buffer.from(rest);
}
