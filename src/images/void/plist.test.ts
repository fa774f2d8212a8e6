import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { eachMember, parseDictionary, parsePlist, type Plist, PlistProblem, renderPlist } from './plist.ts';

const wrapped = (value: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE plist PUBLIC "-//Apple Computer//DTD PLIST 1.0//EN" "x.dtd">\n<plist version="1.0">\n${value}\n</plist>\n`;

test('a property list is read as xbps writes it (8.7)', () => {
  const text = wrapped(`<dict>
	<key>a &amp; b</key>
	<string>&lt;x&gt; &quot;y&apos;</string>
	<key>size</key>
	<integer>0x1f</integer>
	<key>list</key>
	<array>
		<string>one</string>
		<true/>
		<false/>
		<integer>-3</integer>
	</array>
	<key>none</key>
	<array/>
	<key>script</key>
	<data>
	aGVs
	bG8=
	</data>
	<key>empty</key>
	<string></string>
</dict>`);
  assert.deepEqual(
    parseDictionary(text),
    new Map<string, Plist>([
      ['a & b', `<x> "y'`],
      ['size', 31],
      ['list', ['one', true, false, -3]],
      ['none', []],
      ['script', Buffer.from('hello')],
      ['empty', ''],
    ]),
  );
});

test('a text that is no xbps property list is refused, and so is one that would exhaust the reader (8.7)', () => {
  const bomb = `<!DOCTYPE plist [<!ENTITY a "aaaa">]><plist version="1.0"><string>&a;</string></plist>`;
  const refused: [string, RegExp][] = [
    ['', /no property list/],
    ['<html/>', /no property list/],
    [bomb, /no property list/],
    [wrapped('<string>&a;</string>'), /entity/],
    [wrapped('<string>&constructor;</string>'), /entity/],
    [wrapped('<string>&#65;</string>'), /entity/],
    [wrapped('<string>a & b</string>'), /entity/],
    [wrapped(''), /damaged/],
    [wrapped('<string>a'), /no end/],
    [wrapped('<dict><key>a</key></dict>'), /damaged/],
    [wrapped('<dict><string>a</string></dict>'), /no key/],
    [wrapped('<dict><key>a</key><true/><key>a</key><true/></dict>'), /"a" twice/],
    [wrapped('<array><true/></dict>'), /no end/],
    [wrapped('<real>1.5</real>'), /<real>/],
    [wrapped('<true>'), /<true>/],
    [wrapped('<integer>1e3</integer>'), /no integer/],
    [wrapped('<integer>99999999999999999999</integer>'), /no integer/],
    [wrapped('<integer/>'), /no integer/],
    [wrapped('<data>!</data>'), /base64/],
    [`${wrapped('<true/>')}x`, /follows/],
    [wrapped(`${'<array>'.repeat(20)}${'</array>'.repeat(20)}`), /too deeply/],
    [wrapped('<array>'.repeat(100_000)), /too deeply/],
  ];
  for (const [text, reason] of refused) {
    assert.throws(
      () => parsePlist(text),
      (error) => error instanceof PlistProblem && reason.test(error.message),
      text.slice(0, 200),
    );
  }
  assert.throws(() => parseDictionary(wrapped('<array/>')), /no dictionary/);
});

test('a large dictionary is read member by member, and refused like any other (8.7)', async () => {
  const large = new Map(
    Array.from({ length: 1000 }, (_, at): [string, Plist] => [`p${String(at).padStart(4, '0')}`, new Map([['n', at]])]),
  );
  const found = new Map<string, Plist>();
  await eachMember(renderPlist(large), (key, one) => void found.set(key, one));
  assert.deepEqual(found, large);
  for (const text of ['', '<array/>', '<dict><key>a</key><true/>', '<dict><key>a</key><true/><key>a</key><true/></dict>', '<dict/><dict/>'])
    await assert.rejects(
      eachMember(wrapped(text), () => undefined),
      PlistProblem,
      text,
    );
});

const value = fc.letrec<{ value: Plist }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.string({ unit: 'grapheme' }),
    fc.integer(),
    fc.boolean(),
    fc.uint8Array().map((bytes): Plist => Buffer.from(bytes)),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.array(fc.tuple(fc.string(), tie('value')), { maxLength: 4 }).map((members): Plist => new Map(members)),
  ),
})).value;

test('whatever is written is read again as it was (8.7)', () => {
  fc.assert(fc.property(value, (one) => assert.deepEqual(parsePlist(renderPlist(one)), one)));
});
