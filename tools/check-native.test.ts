import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { readC } from './c-symbols.ts';
import { checkNative } from './check-native.ts';
import { readSources } from './source-tree.ts';

const problems = (files: Record<string, string>): string[] =>
  checkNative(Object.entries(files).map(([path, text]) => ({ path: `native/${path}`, text }))).problems;

test('two files that call each other are refused, by name or by address, also by way of a third', () => {
  const circle = { 'a/x.c': 'int x(void) { return y(); }', 'a/y.c': 'int y(void) { keep(z); }', 'a/z.c': 'int z(void) { return x(); }' };
  assert.match(
    problems(circle).join(),
    /native\/a\/x\.c:1: a circle, native\/a\/x\.c → native\/a\/y\.c → native\/a\/z\.c → native\/a\/x\.c/,
  );
  assert.deepEqual(problems({ ...circle, 'a/z.c': 'int z(void) { return 0; }' }), []);
  assert.match(problems({ 'a/x.c': 'int x; int f(void) { return y; }', 'a/y.c': 'int y = 1; int g(void) { return x; }' }).join(), /circle/);
});

test('a name of its own, a member, a tag and a text are no use of another file', () => {
  for (const own of [
    'static int x(void) { return 0; } int y(void) { return x(); }',
    'int y(struct s *s) { return s->x + s -> x + (*s).x; }',
    'int y(void) { struct x *s; return 0; }',
    'int y(void) { return f("x()"); } // x()\n/* x() */\n#define X x()',
  ])
    assert.deepEqual(problems({ 'a/x.c': 'int x(void) { return y(); }', 'a/y.c': own }), [], own);
});

test('programs may say the same names, but take nothing of each other', () => {
  assert.deepEqual(problems({ 'a/x.c': 'int x(void) { return y(); }', 'b/y.c': 'int y(void) { return x(); }' }), []);
  assert.match(problems({ 'a/x.c': '#include "../b/y.h"\n', 'b/y.h': '' }).join(), /native\/a\/x\.c:1: it includes native\/b\/y\.h/);
  assert.match(problems({ 'common/x.c': '#include "../b/y.h"\n', 'b/y.h': '' }).join(), /native\/common/);
  assert.deepEqual(problems({ 'a/src/x.c': '#include "common/y.h"\n#include "../x.h"\n', 'common/y.h': '', 'a/x.h': '' }), []);
});

test('headers that include each other are refused', () => {
  assert.match(problems({ 'a/x.h': '#include "y.h"\n', 'a/y.h': '#include "x.h"\n' }).join(), /include each other/);
});

test('definitions of every shape that the programs have are found', () => {
  const text = `_Noreturn void end(int a, void (*done)(void)) { }
    __attribute__((format(printf, 1, 2))) void say(const char *f, ...) { if (f) { f++; } }
    const struct part network_part = { .run = say };
    struct shared *shared;
    static struct source server = {.fd = -1};
    static const char *const words[] = {"a", "b"};
    char buffer[4][5];
    enum kind { A, B };
    struct part { int (*run)(void); };
    typedef void taker(int a);
    extern int elsewhere;
    int prototype(void);
    _Static_assert(sizeof(int) == 4, "so");
    void (*on_change)(void);`;
  assert.deepEqual([...readC(text).defines].toSorted(), ['buffer', 'end', 'network_part', 'on_change', 'say', 'shared']);
});

test('the programs of this repository pass', () => {
  assert.deepEqual(checkNative(readSources(join(import.meta.dirname, '..'), ['native'], ['.c', '.h'])).problems, []);
});
