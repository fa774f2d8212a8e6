// Text that somebody else wrote, on its way to a terminal.

/**
 * Controls of C0 and C1 and DEL, which terminals act on (ECMA-48); what turns text around, separates lines or cannot be seen, which
 * forges how it looks (Unicode: Bidi_Control, line separators, interlinear annotation, tags, Default_Ignorable_Code_Point but for the
 * joiners and selectors that scripts and emoji need).
 */
const UNSAFE =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\udb40[\udc00-\uddef]/g;

/** @returns `text` with everything that a terminal would not simply show replaced by what `shown` says of it */
export function escapeUnsafe(text: string, shown: (character: string) => string): string {
  return text.replace(UNSAFE, shown);
}

/** @returns one line of text from a guest or a log, safe to show: controls become visible `\xNN` */
export function safeLine(text: string): string {
  return escapeUnsafe(text, (c) => (c === '\t' ? ' ' : visible(c)));
}

/** @returns several lines, safe to show; line ends and tabs stay, carriage returns before them go */
export function safeText(text: string): string {
  return escapeUnsafe(text.replace(/\r+\n/g, '\n'), (c) => (c === '\n' || c === '\t' ? c : visible(c)));
}

function visible(character: string): string {
  return [...Array(character.length).keys()].map((at) => `\\x${character.charCodeAt(at).toString(16).padStart(2, '0')}`).join('');
}

/** Line ends and tabs stay. @returns `text` with escapes of JSON, which mean the same to whoever reads the JSON in it */
export function jsonEscaped(text: string): string {
  return escapeUnsafe(text, (c) => (c === '\n' || c === '\t' ? c : escapesOf(c)));
}

function escapesOf(character: string): string {
  return [...Array(character.length).keys()].map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`).join('');
}

/** @returns what JSON.stringify gives, the same data, and nothing that acts on a terminal */
export function toJson(value: unknown, indent?: number): string {
  return jsonEscaped(JSON.stringify(value, null, indent));
}
