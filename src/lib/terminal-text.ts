// Untrusted text on its way to a terminal.

/**
 * Characters that terminals act on: C0, C1 and DEL (ECMA-48). Also characters that forge the look of text, because they change its
 * direction, separate lines or are invisible (Unicode: Bidi_Control, line separators, interlinear annotation, tags,
 * Default_Ignorable_Code_Point except for the joiners and selectors that scripts and emoji need).
 */
const UNSAFE =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\udb40[\udc00-\uddef]/g;

/** @returns `text`, with every character that a terminal would not simply show replaced by the result of `shown` */
export function escapeUnsafe(text: string, shown: (character: string) => string): string {
  return text.replace(UNSAFE, shown);
}

/** @returns one line of a guest's or a log's text, safe to print: control characters become visible `\xNN` */
export function safeLine(text: string): string {
  return escapeUnsafe(text, (c) => (c === '\t' ? ' ' : visible(c)));
}

/** @returns several lines, safe to print; line ends and tabs stay, carriage returns before them are removed */
export function safeText(text: string): string {
  return escapeUnsafe(text.replace(/\r+\n/g, '\n'), (c) => (c === '\n' || c === '\t' ? c : visible(c)));
}

function visible(character: string): string {
  return [...Array(character.length).keys()].map((at) => `\\x${character.charCodeAt(at).toString(16).padStart(2, '0')}`).join('');
}

/** Line ends and tabs stay. @returns `text` with JSON escapes, which keep its meaning for readers of the JSON in it */
export function jsonEscaped(text: string): string {
  return escapeUnsafe(text, (c) => (c === '\n' || c === '\t' ? c : escapesOf(c)));
}

function escapesOf(character: string): string {
  return [...Array(character.length).keys()].map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`).join('');
}

/** @returns the JSON of JSON.stringify with the same meaning, without terminal control characters */
export function toJson(value: unknown, indent?: number): string {
  return jsonEscaped(JSON.stringify(value, null, indent));
}
