import type { Option } from '@commander-js/extra-typings';
import { newOption } from './command.ts';
import type { ProgressMode } from './render/stages.ts';

/** `--progress` of commands that show stages. */
export function progressOption(): Option<'--progress <mode>', undefined, 'auto', undefined, false, ProgressMode> {
  return newOption('--progress <mode>', 'how to show stages, on stderr')
    .choices(['auto', 'plain', 'json', 'none'] as const)
    .default('auto' as const);
}
