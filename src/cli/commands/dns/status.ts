import type { DaemonStatus } from '../../../api/schemas.ts';
import type { Cli } from '../../cli.ts';
import { newCommand } from '../../command.ts';
import { type Facts, printOne, showing } from '../../output.ts';

export function declareCommand(cli: Cli) {
  const command = newCommand('status', 'show whether names under .vm work; exits with 1 if banger does not answer them', [
    'banger dns status',
  ]);
  return showing(command, 'the address of the server only').action(async (flags) => {
    const { dns } = await cli.api().daemon();
    if (!dns.listening) cli.exitCode = 1;
    const status = { ...dns, resolver: await resolverStatus(dns.address) };
    await printOne(cli, flags, status, { name: ({ address }) => address, facts: factsOf });
  });
}

type ResolverStatus = Awaited<ReturnType<typeof resolverStatus>>;

function factsOf({ address, listening, problem, resolver }: DaemonStatus['dns'] & { resolver: ResolverStatus }): Facts {
  const told = resolver.isCurrent ? 'yes' : 'another server; banger dns setup';
  return [
    ['address', address],
    ['listening', listening ? 'yes' : 'no'],
    ['problem', problem],
    ['resolver', `${resolver.kind} (${resolver.because})`],
    ['asks banger', resolver.file === null ? 'no; banger dns setup' : `${told} (${resolver.file})`],
    ['names work here', resolver.resolves === null ? null : resolver.resolves ? 'yes' : 'no'],
  ];
}

/** The configuration of this machine's own resolver, and whether it follows it. */
async function resolverStatus(dnsAddress: string) {
  const [{ setupMachine }, { RESOLVERS, findResolver, installedResolvers }, { parseServer }] = await Promise.all([
    import('../../../setup/machine.ts'),
    import('../../../setup/resolvers.ts'),
    import('./setup.ts'),
  ]);
  const machine = setupMachine();
  const found = await findResolver(machine);
  const installed = await installedResolvers(machine, parseServer(dnsAddress));
  const own = installed.find(({ kind }) => kind === found.kind) ?? installed[0];
  if (own === undefined) return { ...found, file: null, isCurrent: false, resolves: null };
  return { ...found, file: RESOLVERS[own.kind].file, isCurrent: own.isCurrent, resolves: await resolvesHere() };
}

/** Asks only if the question stays on this machine: `ns.vm` always exists. */
async function resolvesHere(): Promise<boolean> {
  const { lookup } = await import('node:dns/promises');
  try {
    return (await lookup('ns.vm', 4)).address.startsWith('127.');
  } catch {
    return false;
  }
}
