import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileTemplate, TemplateProblem } from './template.ts';

const VM = { name: 'web', spec: { nat: true, vcpuCount: 2 }, pid: null, tags: ['a', 'b'] };

test('a template takes members, members of members, items, JSON, tabs and line ends (1.7)', () => {
  const cases: [string, string][] = [
    ['{{.name}}', 'web'],
    [String.raw`{{ .name }}\t{{.spec.vcpuCount}}\n`, 'web\t2\n'],
    ['{{json .spec}} {{.spec}}', '{"nat":true,"vcpuCount":2} {"nat":true,"vcpuCount":2}'],
    ['{{json .name}} [{{.pid}}] {{json .pid}} {{.pid.more}}', '"web" [] null '],
    ['{{.tags.1}} {{.}}', `b ${JSON.stringify(VM)}`],
    ['plain } {', 'plain } {'],
  ];
  assert.equal(
    compileTemplate('{{index .spec "nat"}}|{{index .spec "a/b-c"}}|{{index .pid "x"}}|{{index . "constructor"}}')(VM),
    'true|||',
  );
  for (const [template, expected] of cases) assert.equal(compileTemplate(template)(VM), expected);
});

test('a wrong template is refused, with the members that exist (1.6)', () => {
  for (const template of ['{{.name', '{{name}}', '{{.a..b}}', '{{range .}}', '{{}}'])
    assert.throws(() => compileTemplate(template), TemplateProblem, template);
  assert.throws(
    () => compileTemplate('{{.nmae}}')(VM),
    (error) => error instanceof TemplateProblem && /did you mean name\?/.test(error.message) && error.allowed === 'name, spec, pid, tags',
  );
  assert.throws(() => compileTemplate('{{.constructor}}')(VM), TemplateProblem);
});
