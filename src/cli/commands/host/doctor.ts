import type { DoctorFix, DoctorReport } from '../../../api/schemas.ts';
import { isSet } from '../../../lib/is-set.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { printOne, showing } from '../../output.ts';
import { renderTable } from '../../render/table.ts';
import { paint } from '../../render/text.ts';
import { safeLine } from '../../../lib/terminal-text.ts';

type Finding = DoctorReport['findings'][number];
type DriverCapability = DoctorReport['drivers'][number];

export function declareCommand(cli: Cli) {
  const command = newCommand('doctor', 'check this host, its VMs and its images; exits with 3 if a check fails', [
    'banger doctor',
    'banger doctor --fix',
    'banger doctor -o json',
  ]).option('--fix', 'make the repairs that touch nothing you made, and list them');
  return showing(command, 'only the names of checks that fail').action(async (flags) => {
    const { fixed, report } = flags.fix === true ? await cli.api().doctorFix() : { fixed: [], report: await cli.api().doctor() };
    for (const one of fixed) cli.note(fixedLine(one));
    const failing = report.findings.filter((finding) => finding.level === 'fail');
    if (failing.length > 0) cli.exitCode = 3;
    await printOne(cli, flags, report, {
      name: () => failing.map((finding) => finding.name).join('\n'),
      lines: ({ findings, drivers }) => [...findingLines(cli, findings.filter(isNews(drivers))), ...driverLines(cli, drivers)],
    });
  });
}

function fixedLine({ vm, name, did, error }: DoctorFix['fixed'][number]): string {
  const where = safeLine(vm === undefined ? name : `${vm}: ${name}`);
  return error === undefined ? `fixed ${where}: ${safeLine(did)}` : `could not fix ${where}: ${safeLine(error)}`;
}

/** The table says what works. The lines above it say what the table does not know, and what is wrong. */
function isNews(drivers: readonly DriverCapability[]): (finding: Finding) => boolean {
  return ({ level, reason }) => level !== 'pass' || drivers.every((driver) => driver.reason !== reason);
}

const MARKS = { pass: ['green', '✓ pass'], warn: ['yellow', '! warn'], fail: ['red', '✗ fail'] } as const;

function findingLines(cli: Cli, findings: readonly Finding[]): string[] {
  const columns = [
    { title: '', of: (finding: Finding) => finding.name },
    { title: '', of: (finding: Finding) => finding.reason },
  ];
  return renderTable(columns, findings, { headers: false }).flatMap((line, i) => {
    const finding = findings[i];
    if (finding === undefined) return [];
    const [colour, mark] = MARKS[finding.level];
    const remedy = finding.remedy === undefined ? [] : [`          try: ${safeLine(finding.remedy)}`];
    const shown = isSet(cli.env['BANGER_PLAIN']) ? mark.slice(2) : mark;
    return [`${paint(cli.stdout, colour, shown)}  ${line}`, ...remedy];
  });
}

/** What new VMs get, what else the user can choose, and what would make the rest work. */
function driverLines(cli: Cli, drivers: readonly DriverCapability[]): string[] {
  const columns = [
    { title: 'KIND', of: (driver: DriverCapability) => driver.kind },
    { title: 'DRIVER', of: ({ name, accelerator }: DriverCapability) => (accelerator === null ? name : `${name} (${accelerator})`) },
    { title: 'HERE', of: ({ chosen, usable }: DriverCapability) => (chosen ? 'chosen' : usable ? 'usable' : 'no') },
    { title: 'WHY', of: whyOf },
  ];
  const [header = '', ...rows] = renderTable(columns, drivers);
  const indent = ' '.repeat(header.indexOf('WHY'));
  return [
    '',
    header,
    ...rows.flatMap((line, i) => {
      const driver = drivers[i];
      const remedy = driver === undefined || driver.usable || driver.remedy === null ? [] : [`${indent}try: ${safeLine(driver.remedy)}`];
      return [driver?.chosen === true ? paint(cli.stdout, 'green', line) : line, ...remedy];
    }),
  ];
}

function whyOf({ reason, notWith }: DriverCapability): string {
  return notWith.length === 0 ? reason : `${reason} (not with ${notWith.join(', ')})`;
}
