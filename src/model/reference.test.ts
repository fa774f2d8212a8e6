import assert from 'node:assert/strict';
import { test } from 'node:test';
import { among, findExactly, readVmReference, resolveReference } from './reference.ts';

const id = (digits: string) => digits.padEnd(32, '0');
const VMS = [
  { id: id('abcd1'), name: 'web' },
  { id: id('abcd2'), name: 'db' },
  { id: id('beef'), name: 'cafe' },
  { id: id('cafe'), name: 'abcd2' },
];
const of = (typed: string) => resolveReference('VM', among(VMS), typed).name;

test('a name takes precedence over an id, and four digits of an id are enough if they are unambiguous (3.1)', () => {
  for (const [typed, name] of [
    ['web', 'web'],
    [id('abcd1'), 'web'],
    ['abcd1', 'web'],
    ['beef', 'cafe'],
    ['cafe', 'cafe'],
    ['abcd2', 'abcd2'],
    ['abcd20', 'db'],
  ] as const) {
    assert.equal(of(typed), name, typed);
  }
});

test('a VM may be written as a host or a login, an image may not (3.1)', () => {
  for (const typed of ['web.vm', 'web.vm.', 'dev@web', 'dev@web.vm', 'dev@abcd1.vm']) assert.equal(of(typed), 'web', typed);
  assert.throws(() => resolveReference('image', among(VMS), 'web.vm'), { code: 'NOT_FOUND', remedy: 'banger image list' });
  assert.deepEqual(readVmReference('dev@web.vm'), { user: 'dev', name: 'web' });
  assert.throws(() => readVmReference('-x@web'), { code: 'INVALID_INPUT' });
});

test('an ambiguous reference lists all matches, by id if there are no names (3.1)', () => {
  assert.throws(() => of('abcd'), {
    code: 'AMBIGUOUS_REFERENCE',
    message: 'abcd could be web or db',
    remedy: 'use a name: web, db',
    details: { reference: 'abcd', matches: ['web', 'db'] },
  });
  const operations = [{ id: 'abcd00112233' }, { id: 'abcd44556677' }];
  assert.equal(resolveReference('operation', among(operations), 'abcd4'), operations[1]);
  assert.throws(() => resolveReference('operation', among(operations), 'abcd'), {
    code: 'AMBIGUOUS_REFERENCE',
    remedy: 'use more digits of the id: abcd00112233, abcd44556677',
  });
});

test('an unknown reference names the nearest name; three digits, upper case and a shortened name match nothing (3.1)', () => {
  assert.throws(() => of('wbe'), { code: 'NOT_FOUND', message: 'there is no VM "wbe"; did you mean web?', remedy: 'banger vm list' });
  for (const typed of ['abc', 'ABCD1', 'we', '', '.*', id('abcd1').slice(1), `${id('abcd1')}0`]) {
    assert.throws(() => of(typed), { code: 'NOT_FOUND' }, typed);
  }
  const { message } = assertThrown(() => of('x'.repeat(5000)));
  assert.ok(message.length < 150, message);
});

test('a whole name or id is distinguished from a prefix (3.1)', () => {
  assert.equal(findExactly('VM', among(VMS), 'dev@web.vm'), VMS[0]);
  assert.equal(findExactly('VM', among(VMS), id('beef')), VMS[2]);
  assert.equal(findExactly('VM', among(VMS), 'beef'), undefined);
});

test('whole names and ids cost no look at all the others (3.1)', () => {
  const [web] = VMS;
  const quick = {
    find: (wanted: string) => (wanted === web?.id ? web : undefined),
    findByName: (name: string) => (name === 'web' ? web : undefined),
    list: () => assert.fail('all were looked at'),
  };
  assert.equal(resolveReference('VM', quick, 'web'), web);
  assert.equal(resolveReference('VM', quick, id('abcd1')), web);
});

function assertThrown(work: () => unknown): Error {
  try {
    work();
  } catch (error) {
    return error as Error;
  }
  return assert.fail('nothing was thrown');
}
