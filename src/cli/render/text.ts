// Text for a terminal: colours where they are wanted, and nothing that a guest could smuggle in.
import { styleText } from 'node:util';
import { type Cli, isSet, type Output } from '../cli.ts';

export type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'dim' | 'bold';

/** Colours `text` when `stream` is a terminal that shows them (NO_COLOR, FORCE_COLOR and TERM=dumb count). */
export function paint(stream: Output, colour: Colour, text: string): string {
  return styleText(colour, text, { stream: stream });
}

/** Terminals that show what they do not understand, or are none. */
const NO_LINKS = /^(dumb|linux|vt\d+)?$/;

/** @returns `url`, on a terminal as a link that can be clicked (OSC 8) */
export function hyperlink(stream: Output, url: string, env: Cli['env'] = process.env): string {
  if (stream.isTTY !== true || isSet(env['BANGER_PLAIN']) || NO_LINKS.test(env['TERM'] ?? '')) return url;
  return `\u001b]8;;${url}\u001b\\${url}\u001b]8;;\u001b\\`;
}

// C0 and C1 controls and DEL (terminals act on them), bidirectional overrides and line separators (they forge the look).
// eslint-disable-next-line no-control-regex
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** @returns one line of text from a guest or a log, safe to show: controls become visible `\xNN` */
export function safeLine(text: string): string {
  return text.replace(UNSAFE, (c) => (c === '\t' ? ' ' : `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`));
}

/** @returns several lines, safe to show; line ends and tabs stay, carriage returns before them go */
export function safeText(text: string): string {
  return text.replace(/\r+\n/g, '\n').replace(UNSAFE, (c) => (c === '\n' || c === '\t' ? c : safeLine(c)));
}
