import { BangerError } from '../../../model/errors.ts';
import { LIMITS } from '../../../model/limits.ts';
import { checkName } from '../../../model/name.ts';
import { among, resolveReference } from '../../../model/reference.ts';
import { formatDuration } from '../../../lib/duration.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { showOperation } from '../../operations.ts';
import { progressOption } from '../../progress-option.ts';
import { tellStarted } from '../../render/started.ts';
import { parseInteger } from '../../values.ts';

const EXAMPLES = ['banger vm fork web', 'banger vm fork web web-before web-after', 'banger vm fork web --count 3'];

export function declareCommand(cli: Cli) {
  return newCommand('fork', 'make virtual machines that go on where a running one is, with its memory and its disks', EXAMPLES)
    .argument('<name>', 'name, id or start of an id of the running one, which goes on')
    .argument('[new...]', 'names of the new ones (default: <name>-1, or the next number that is free)')
    .option('--count <n>', 'how many to make', (value) => parseInteger('--count', value, LIMITS.forks))
    .addOption(progressOption())
    .action(async (ref, given, { count, progress }) => {
      for (const name of given) checkName(name);
      if (given.length > 0 && count !== undefined && count !== given.length) {
        throw new BangerError('USAGE', `--count ${count} and ${given.length} names`, { remedy: 'leave out --count' });
      }
      const api = cli.api();
      const vms = await api.listVms();
      const source = resolveReference('VM', among(vms), ref);
      const taken = new Set(vms.map(({ name }) => name));
      const names = given.length > 0 ? given : freeNames(source.name, count ?? 1, taken);
      const begun = performance.now();
      await showOperation(cli, () => api.beginVm(source.id, 'fork', { names }), progress);
      const time = formatDuration(performance.now() - begun);
      for (const vm of await Promise.all(names.map((name) => api.showVm(name)))) {
        cli.print(vm.name);
        cli.note(`running as ${vm.name}.vm (${vm.address}) after ${time}; use it: banger vm exec ${vm.name} -- COMMAND`);
        tellStarted(cli, vm);
      }
      cli.note(`what programs of ${source.name} keep in memory is the same in each, also random numbers and keys: docs/forking.md`);
    });
}

/** @returns the first free names of the form `web-2`. @throws INVALID_INPUT if they would be too long */
function freeNames(base: string, count: number, taken: ReadonlySet<string>): string[] {
  const names: string[] = [];
  for (let number = 1; names.length < count; number++) {
    const name = checkName(`${base}-${number}`);
    if (!taken.has(name)) names.push(name);
  }
  return names;
}
