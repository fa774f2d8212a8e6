import type { Verdict } from '../../../model/verdict.ts';
import type { Cli } from '../../cli.ts';
import { newCommand, outputOption } from '../../command.ts';
import { renderTable } from '../../render/table.ts';
import { paint, safeLine } from '../../render/text.ts';

export function declareCommand(cli: Cli) {
  return newCommand('doctor', 'tell what this host can and cannot do; ends with 3 when something fails', [
    'banger doctor',
    'banger doctor -o json',
  ])
    .addOption(outputOption())
    .action(async (flags) => {
      const verdicts = await cli.api().doctor();
      if (verdicts.some((verdict) => verdict.level === 'fail')) cli.exitCode = 3;
      if (flags.output === 'json') return cli.print(JSON.stringify(verdicts, null, 2));
      for (const line of verdictLines(cli, verdicts)) cli.print(line);
    });
}

const MARKS = { pass: ['green', '✓ pass'], warn: ['yellow', '! warn'], fail: ['red', '✗ fail'] } as const;

function verdictLines(cli: Cli, verdicts: readonly Verdict[]): string[] {
  const columns = [
    { title: '', of: (verdict: Verdict) => verdict.name },
    { title: '', of: (verdict: Verdict) => verdict.reason },
  ];
  return renderTable(columns, verdicts, { headers: false }).flatMap((line, i) => {
    const verdict = verdicts[i];
    if (verdict === undefined) return [];
    const [colour, mark] = MARKS[verdict.level];
    const remedy = verdict.remedy === undefined ? [] : [`          try: ${safeLine(verdict.remedy)}`];
    return [`${paint(cli.stdout, colour, mark)}  ${line}`, ...remedy];
  });
}
