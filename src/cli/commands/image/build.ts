import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { BuildImage } from '../../../api/image-schemas.ts';
import { formatDuration } from '../../../lib/duration.ts';
import { BangerError } from '../../../model/errors.ts';
import { PACKAGE_NAME } from '../../../model/limits.ts';
import { checkName } from '../../../model/name.ts';
import type { Cli } from '../../cli.ts';
import { collect, newCommand, newOption } from '../../command.ts';
import { showOperation } from '../../operations.ts';
import { progressOption } from '../../progress-option.ts';
import { renderTable } from '../../render/table.ts';
import { parseDiskSize } from '../../values.ts';
import { given } from '../../../lib/given.ts';
import { messageOf } from '../../../lib/message-of.ts';

const EXAMPLES = [
  'banger image build --name dev',
  'banger image build --name small --from default --skip opencode --packages packages.txt',
  'banger image build --name mine --from dev --step docker-modules --script setup.sh',
  'banger image build --distribution void --name void',
  'banger image build --name docker --step docker',
  'banger image build --list-steps',
];

export function declareCommand(cli: Cli) {
  return newCommand('build', 'build an image: boot a temporary VM from another image, provision it and keep its disks', EXAMPLES)
    .option('--name <name>', 'name of the new image, a DNS label', (value) => checkName(value, 'image'))
    .option('--from <image>', 'image to build from (default: the default image)')
    .option('--distribution <name>', "distribution of the base image; void: build from Void's packages, without a base image")
    .option('--size <size>', 'root file system (default: what new VMs get)', (value) => parseDiskSize('--size', value))
    .option('--packages <file>', 'list of packages, one per line, instead of the development packages')
    .option('--script <file>', 'script to run in the guest after the steps, by the program of its #! line, else by /bin/sh -eu')
    .option(
      '--step <name>',
      'provisioning step to run, with the steps it needs (may be repeated; default: all except those on request)',
      collect,
    )
    .option('--skip <name>', 'provisioning step to leave out (may be repeated)', collect)
    .addOption(newOption('--host-ca', 'let the building guest, not the image, trust the authorities that were added to this host'))
    .addOption(newOption('--no-host-ca', 'trust only the authorities of its distribution'))
    .addOption(newOption('--host-proxy', 'let the building guest, not the image, use the proxies of this host'))
    .addOption(newOption('--no-host-proxy', 'use no proxy of this host'))
    .option('--list-steps', 'list the provisioning steps')
    .option('--replace', 'take over the name of an existing image; its VMs keep that image')
    .option('-d, --detach', 'print the id of the operation and return at once')
    .addOption(progressOption())
    .action(async (flags) => {
      if (flags.listSteps === true) return listSteps(cli);
      if (flags.name === undefined) throw new BangerError('USAGE', 'the image has no name', { remedy: 'give --name' });
      const body = buildBody({ ...flags, name: flags.name });
      if (flags.detach === true) return cli.print((await cli.api().buildImage(body, false)).id);
      const begun = performance.now();
      await showOperation(cli, () => cli.api().buildImage(body, true), flags.progress);
      const { name, buildLogPath } = await cli.api().showImage(body.name);
      cli.print(name);
      cli.note(`built in ${formatDuration(performance.now() - begun)}; the log is ${buildLogPath ?? 'lost'}`);
      cli.note(`use it: banger vm create --image ${name}`);
    });
}

type BuildFlags = {
  name: string;
  from?: string | undefined;
  distribution?: string | undefined;
  size?: number | undefined;
  packages?: string | undefined;
  script?: string | undefined;
  step?: string[] | undefined;
  skip?: string[] | undefined;
  replace?: true | undefined;
  hostCa?: boolean | undefined;
  hostProxy?: boolean | undefined;
};

/** @returns what the user gave, with files replaced by their content. @throws INVALID_INPUT for an unreadable file */
function buildBody(flags: BuildFlags): BuildImage {
  const packages = flags.packages === undefined ? undefined : readText('--packages', flags.packages);
  const script = flags.script === undefined ? undefined : readText('--script', flags.script);
  return {
    name: flags.name,
    ...given({ from: flags.from, distribution: flags.distribution, sizeBytes: flags.size }),
    ...(packages === undefined ? {} : { packages: { path: packages.path, names: packageNames(packages) } }),
    ...given({ script, only: flags.step, skip: flags.skip }),
    ...(flags.replace === undefined ? {} : { replace: true }),
    ...given({ hostCa: flags.hostCa, hostProxy: flags.hostProxy }),
  };
}

/** @throws INVALID_INPUT with the bad line */
function packageNames({ path, text }: { path: string; text: string }): string[] {
  const lines = text.split('\n').map((line) => line.replace(/#.*/, '').trim());
  const bad = lines.findIndex((line) => line !== '' && !PACKAGE_NAME.test(line));
  if (bad >= 0) {
    throw new BangerError(
      'INVALID_INPUT',
      `line ${bad + 1} of ${path} is not the name of a package: ${JSON.stringify(lines[bad]?.slice(0, 80))}`,
      {
        remedy: 'write one name per line; # begins a comment',
      },
    );
  }
  return lines.filter((line) => line !== '');
}

function readText(flag: string, file: string): { path: string; text: string } {
  try {
    return { path: resolve(file), text: readFileSync(file, 'utf8') };
  } catch (error) {
    const reason = messageOf(error);
    throw new BangerError('INVALID_INPUT', `${flag}: ${reason}`, { remedy: 'name a readable file', details: { flag, file } });
  }
}

async function listSteps(cli: Cli): Promise<void> {
  const ports = (numbers: readonly number[]): string => (numbers.length === 0 ? '-' : numbers.join(', '));
  const table = renderTable(
    [
      { title: 'STEP', of: (step) => step.name },
      { title: 'WHAT', of: (step) => step.title },
      { title: 'NEEDS', of: (step) => (step.needs.length === 0 ? '-' : step.needs.join(', ')) },
      { title: 'PORT', of: (step) => ports(step.servicePorts) },
      { title: 'TAKEN', of: (step) => (step.isOptional ? 'on request' : 'always') },
    ],
    await cli.api().provisionSteps(),
  );
  for (const line of table) cli.print(line);
}
