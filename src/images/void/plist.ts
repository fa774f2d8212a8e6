// XML property lists, the format of all xbps files (Apple's PropertyList-1.0.dtd, as proplib(3) reads and writes it). Implemented here,
// because an index is large, and anyone may have written it. For one of 17 MB, plist 5.0.0 of npm takes 26 s without a pause and 911 MiB;
// this takes 2 s with pauses, and 99 MiB. plist also reads 0x1f as 0, accepts a key twice, entities and any depth, and adds 211 kB to the
// daemon instead of 6. fast-xml-parser 5.12 takes 9 s, 305 MiB and 86 kB just to find the tags.

import { setImmediate } from 'node:timers/promises';

/** One value. xbps never writes dates and reals. */
export type Plist = string | number | boolean | Buffer | Plist[] | PlistDictionary;
export type PlistDictionary = Map<string, Plist>;

/** The text is no property list, or has a form that xbps never writes. */
export class PlistProblem extends Error {
  override readonly name = 'PlistProblem';
}

/** Deeper nesting only serves to exhaust the stack. */
const MOST_DEPTH = 16;
const PROLOGUE = /^\uFEFF?\s*(?:<\?xml[^?<>]*\?>\s*)?(?:<!DOCTYPE plist[^<>[\]]*>\s*)?<plist(?:\s[^<>]*)?>/;
const OPENING = /\s*<([a-z]+)\s*(\/?)>/y;
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** @throws PlistProblem */
export function parsePlist(text: string): Plist {
  const reader = readerOf(text);
  const value = reader.value(0);
  reader.end();
  return value;
}

/**
 * Reads the members of a large dictionary one by one, with pauses for other work of this process.
 * @throws PlistProblem, the errors of `take`
 */
export async function eachMember(text: string, take: (key: string, value: Plist) => void): Promise<void> {
  const reader = readerOf(text);
  let count = 0;
  for (const [key, value] of reader.wholeDictionary()) {
    take(key, value);
    if (++count % MEMBERS_AT_ONCE === 0) await setImmediate();
  }
  reader.end();
}

/** About twenty milliseconds. */
const MEMBERS_AT_ONCE = 300;

function readerOf(text: string): Reader {
  const prologue = PROLOGUE.exec(text);
  if (prologue === null) throw new PlistProblem('it is no property list');
  return new Reader(text, prologue[0].length);
}

/** @throws PlistProblem also for another value */
export function parseDictionary(text: string): PlistDictionary {
  const value = parsePlist(text);
  if (value instanceof Map) return value;
  throw new PlistProblem('it is no dictionary');
}

class Reader {
  readonly #text: string;
  #at: number;

  constructor(text: string, at: number) {
    this.#text = text;
    this.#at = at;
  }

  /** @throws PlistProblem unless the text ends here */
  end(): void {
    this.closing('plist');
    if (this.#text.slice(this.#at).trim() !== '') throw new PlistProblem('something follows its end');
  }

  /** @yields the members of the dictionary that makes up the whole text */
  *wholeDictionary(): Generator<[key: string, value: Plist]> {
    const { name, isEmpty } = this.#opening();
    if (name !== 'dict') throw new PlistProblem('it is no dictionary');
    if (!isEmpty) yield* this.#members(0);
  }

  value(depth: number): Plist {
    const { name, isEmpty } = this.#opening();
    if (depth > MOST_DEPTH) throw new PlistProblem('it is nested too deeply');
    if (name === 'dict') return isEmpty ? new Map() : this.#dictionary(depth);
    if (name === 'array') return isEmpty ? [] : this.#array(depth);
    if ((name === 'true' || name === 'false') && isEmpty) return name === 'true';
    const content = isEmpty ? '' : this.#content(name);
    if (name === 'string') return content;
    if (name === 'integer') return integerOf(content);
    if (name === 'data') return dataOf(content);
    throw new PlistProblem(`it has a <${name}>`);
  }

  closing(name: string): void {
    const tag = `</${name}>`;
    this.#skipSpace();
    if (!this.#text.startsWith(tag, this.#at)) throw new PlistProblem(`a <${name}> has no end`);
    this.#at += tag.length;
  }

  #dictionary(depth: number): PlistDictionary {
    return new Map(this.#members(depth));
  }

  *#members(depth: number): Generator<[key: string, value: Plist]> {
    const seen = new Set<string>();
    while (!this.#isAtClosing()) {
      const { name, isEmpty } = this.#opening();
      if (name !== 'key' || isEmpty) throw new PlistProblem('a value has no key');
      const key = this.#content('key');
      if (seen.has(key)) throw new PlistProblem(`it has ${JSON.stringify(key.slice(0, 80))} twice`);
      seen.add(key);
      yield [key, this.value(depth + 1)];
    }
    this.closing('dict');
  }

  #array(depth: number): Plist[] {
    const values: Plist[] = [];
    while (!this.#isAtClosing()) values.push(this.value(depth + 1));
    this.closing('array');
    return values;
  }

  #opening(): { name: string; isEmpty: boolean } {
    OPENING.lastIndex = this.#at;
    const found = OPENING.exec(this.#text);
    if (found === null) throw new PlistProblem('it is damaged, or ends early');
    this.#at = OPENING.lastIndex;
    return { name: found[1] ?? '', isEmpty: found[2] === '/' };
  }

  #content(name: string): string {
    const end = this.#text.indexOf('<', this.#at);
    if (end < 0) throw new PlistProblem(`a <${name}> has no end`);
    const raw = this.#text.slice(this.#at, end);
    this.#at = end;
    this.closing(name);
    return raw.includes('&') ? raw.replaceAll(/&([^;&]{0,8});?/g, (_all, entity: string) => characterOf(entity)) : raw;
  }

  #isAtClosing(): boolean {
    this.#skipSpace();
    return this.#text.startsWith('</', this.#at);
  }

  #skipSpace(): void {
    // An index has some ten million of them.
    for (let code = this.#text.charCodeAt(this.#at); code === 9 || code === 10 || code === 13 || code === 32;) {
      code = this.#text.charCodeAt(++this.#at);
    }
  }
}

function characterOf(entity: string): string {
  const character = Object.hasOwn(ENTITIES, entity) ? ENTITIES[entity] : undefined;
  if (character === undefined) throw new PlistProblem('it has an entity of its own');
  return character;
}

/** proplib writes unsigned numbers in hexadecimal. */
function integerOf(text: string): number {
  const value = /^(-?\d{1,20}|0x[0-9a-fA-F]{1,16})$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw new PlistProblem(`${JSON.stringify(text.slice(0, 40))} is no integer`);
  return value;
}

function dataOf(text: string): Buffer {
  const base64 = text.replaceAll(/\s/g, '');
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) throw new PlistProblem('its data is no base64');
  return Buffer.from(base64, 'base64');
}

/** @returns a property list that proplib(3) can read */
export function renderPlist(value: Plist): string {
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple Computer//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    '<plist version="1.0">',
    ...linesOf(value, ''),
    '</plist>\n',
  ].join('\n');
}

function linesOf(value: Plist, indent: string): string[] {
  const inner = `${indent}\t`;
  if (value instanceof Map) {
    if (value.size === 0) return [`${indent}<dict/>`];
    const members = [...value].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return [`${indent}<dict>`, ...members.flatMap(([key, member]) => memberLines(key, member, inner)), `${indent}</dict>`];
  }
  if (Array.isArray(value)) {
    if (value.length === 0) return [`${indent}<array/>`];
    return [`${indent}<array>`, ...value.flatMap((one) => linesOf(one, inner)), `${indent}</array>`];
  }
  if (typeof value === 'boolean') return [`${indent}<${value}/>`];
  if (typeof value === 'number') return [`${indent}<integer>${value}</integer>`];
  if (Buffer.isBuffer(value)) return [`${indent}<data>${value.toString('base64')}</data>`];
  return [`${indent}<string>${escaped(value)}</string>`];
}

function memberLines(key: string, value: Plist, indent: string): string[] {
  return [`${indent}<key>${escaped(key)}</key>`, ...linesOf(value, indent)];
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
