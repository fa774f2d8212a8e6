import type { CreateVm, VmView } from '../../../api/schemas.ts';
import { formatDuration } from '../../../lib/duration.ts';
import { checkName } from '../../../model/name.ts';
import { BangerError } from '../../../model/errors.ts';
import type { Cli } from '../../cli.ts';
import { collect, newCommand, newOption } from '../../command.ts';
import { showStages, showOperation } from '../../operations.ts';
import { isData, printOne, showing, type ShowFlags } from '../../output.ts';
import { localhostUrls } from '../../render/ports.ts';
import { tellStarted } from '../../render/started.ts';
import { progressOption } from '../../progress-option.ts';
import { parseLabels } from '../../values.ts';
import { givenSettings, type SettingFlags, withSettings } from '../../vm-settings.ts';

/** How far the VM has come, in order. */
const READINESS = "return when the guest agent runs commands (agent), ssh accepts logins (ssh), or the image's services listen (services)";

const EXAMPLES = [
  'banger vm create web',
  'banger vm create --name web --vcpu 4 --memory 4G --disk-size 20G',
  'banger vm create -l project=shop -l tier=test --no-nat --detach',
  'banger vm create --host-ca --host-proxy',
];

export function declareCommand(cli: Cli) {
  const named = newCommand('create', 'create a virtual machine and start it', EXAMPLES)
    .argument('[name]', 'the same as --name')
    .option('--name <name>', 'name, a DNS label (default: a made-up one)', (value) => checkName(value))
    .option('--image <image>', 'image to boot from, name or id (default: the default image)');
  const command = withSettings(named, 'create')
    .option('-l, --label <key=value>', 'a note for yourself, and for --filter (may be repeated)', collect)
    .addOption(newOption('--no-start', 'create it only').conflicts('wait'))
    .addOption(
      newOption('--wait <level>', READINESS)
        .choices(['agent', 'ssh', 'services'] as const)
        .default('services' as const),
    )
    .option('--cold', 'boot it, whatever templates there are')
    .option('--if-not-exists', 'succeed, and change nothing, if a VM of this name exists')
    .option('-d, --detach', 'print the id of the operation and return at once')
    .addOption(progressOption());
  return showing(command).action(async (name, given) => {
    const flags = { ...given, name: nameOf(name, given.name) };
    const body = createBody(flags);
    if (flags.ifNotExists === true && flags.name !== undefined) {
      const there = await existing(cli, flags.name);
      if (there !== undefined) return tellExisting(cli, there, flags);
    } else if (flags.ifNotExists === true) {
      throw new BangerError('USAGE', '--if-not-exists needs a name', { remedy: 'banger vm create NAME --if-not-exists' });
    }
    if (flags.detach === true) return cli.print((await cli.api().createVm(body, false)).id);
    const begun = performance.now();
    const end = await showOperation(cli, () => cli.api().createVm(body, true), flags.progress);
    if (end.vm !== null) await tellCreated(cli, end.vm, flags, performance.now() - begun);
  });
}

/** @throws INVALID_INPUT for an invalid name; USAGE for two different names */
function nameOf(positional: string | undefined, flag: string | undefined): string | undefined {
  if (positional === undefined) return flag;
  const name = checkName(positional);
  if (flag === undefined || flag === name) return name;
  throw new BangerError('USAGE', `the VM has two names, ${name} and ${flag}`, { remedy: `banger vm create ${name}` });
}

/** @returns the VM of exactly this name, once its creation is over */
async function existing(cli: Cli, name: string): Promise<VmView | undefined> {
  const found = (await cli.api().listVms()).find((vm) => vm.name === name);
  if (found?.state !== 'creating') return found;
  // Another command creates the VM. If that succeeds, the VM exists; if not, the name is free again.
  const creation = (await cli.api().listOperations()).find(({ vmId, state }) => vmId === found.id && state === 'running');
  if (creation !== undefined) await showStages(cli, creation.id, 'none').catch(() => undefined);
  return (await cli.api().listVms()).find((vm) => vm.id === found.id);
}

async function tellExisting(cli: Cli, vm: VmView, flags: ShowFlags): Promise<void> {
  await printOne(cli, flags, vm, { name: () => vm.name, lines: () => [vm.name] });
  if (!isData(flags)) cli.note(`${vm.name} is there already, ${vm.state}; nothing was changed`);
}

export type CreateFlags = SettingFlags & {
  name?: string | undefined;
  image?: string | undefined;
  start?: boolean | undefined;
  cold?: boolean | undefined;
  label?: string[] | undefined;
  wait?: 'agent' | 'ssh' | 'services' | undefined;
};

/** @returns only what the user gave: the daemon decides the rest */
export function createBody(flags: CreateFlags): CreateVm {
  return {
    ...(flags.name === undefined ? {} : { name: flags.name }),
    ...(flags.image === undefined ? {} : { image: flags.image }),
    ...givenSettings(flags),
    ...(flags.label === undefined ? {} : { labels: parseLabels('--label', flags.label) }),
    ...(flags.wait === undefined || flags.wait === 'services' ? {} : { waitFor: flags.wait }),
    // commander gives a lone --no- option the value true if it is absent.
    ...(flags.start === false ? { start: false } : {}),
    ...(flags.cold === true ? { cold: true } : {}),
  };
}

async function tellCreated(cli: Cli, vm: VmView, flags: ShowFlags, durationMs: number): Promise<void> {
  await printOne(cli, flags, vm, { name: () => vm.name, lines: () => [vm.name] });
  if (isData(flags)) return;
  tellStarted(cli, vm);
  const time = formatDuration(durationMs);
  if (vm.state !== 'running') cli.note(`created in ${time}, ${vm.state}; start it: banger vm start ${vm.name}`);
  else {
    const use = vm.hasSshServer === false ? `exec ${vm.name} -- COMMAND (its image has no SSH server)` : `ssh ${vm.name}`;
    cli.note(`running as ${vm.name}.vm (${vm.address}) after ${time}; use it: banger vm ${use}`);
    cli.note(`its services may still be starting: banger vm wait ${vm.name}`);
  }
  if (vm.state === 'running') await tellSites(cli, vm);
}

/** The image may serve a site already; any browser of the daemon's machine can open its address. */
async function tellSites(cli: Cli, vm: VmView): Promise<void> {
  if (cli.endpoint().kind === 'ssh') return;
  // The VM exists. Any further problem shows in the command that needs it.
  const ports = await cli
    .api()
    .ports(vm.name)
    .catch(() => []);
  const urls = localhostUrls(ports);
  if (urls.length > 0) cli.note(`in a browser: ${urls.join(' ')}`);
}
