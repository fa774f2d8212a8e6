import type { Cli } from '../../cli.ts';
import { newCommand, outputOption } from '../../command.ts';
import { renderFacts } from '../../render/table.ts';

export function declareCommand(cli: Cli) {
  return newCommand('status', 'show whether names under .vm are answered, and who asks; ends with 1 when they are not answered', [
    'banger dns status',
  ])
    .addOption(outputOption())
    .action(async (flags) => {
      const { dns } = await cli.api().daemon();
      if (!dns.listening) cli.exitCode = 1;
      const resolver = await resolverStatus(dns.address);
      if (flags.output === 'json') return cli.print(JSON.stringify({ ...dns, resolver }, null, 2));
      const facts: [string, string | null][] = [
        ['address', dns.address],
        ['listening', dns.listening ? 'yes' : 'no'],
        ['problem', dns.problem],
        ['resolver', `${resolver.kind} (${resolver.because})`],
        [
          'asks banger',
          resolver.file === null
            ? 'no; banger dns setup'
            : `${resolver.isCurrent ? 'yes' : 'another server; banger dns setup'} (${resolver.file})`,
        ],
        ['names work here', resolver.resolves === null ? null : resolver.resolves ? 'yes' : 'no'],
      ];
      for (const line of renderFacts(facts)) cli.print(line);
    });
}

/** What this machine's own resolver was told, and whether it does so. */
async function resolverStatus(dnsAddress: string) {
  const [{ setupMachine }, { RESOLVERS, findResolver, installedResolvers }, { parseServer }] = await Promise.all([
    import('../../setup/machine.ts'),
    import('../../setup/resolvers.ts'),
    import('./setup.ts'),
  ]);
  const machine = setupMachine();
  const found = await findResolver(machine);
  const installed = await installedResolvers(machine, parseServer(dnsAddress));
  const own = installed.find(({ kind }) => kind === found.kind) ?? installed[0];
  if (own === undefined) return { ...found, file: null, isCurrent: false, resolves: null };
  return { ...found, file: RESOLVERS[own.kind].file, isCurrent: own.isCurrent, resolves: await resolvesHere() };
}

/** Asked only when it stays on this machine: `ns.vm` is always there. */
async function resolvesHere(): Promise<boolean> {
  const { lookup } = await import('node:dns/promises');
  try {
    return (await lookup('ns.vm', 4)).address.startsWith('127.');
  } catch {
    return false;
  }
}
