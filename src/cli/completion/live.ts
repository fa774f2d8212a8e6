// Candidates that only the daemon knows: names and ids, with their state as description.
import { PassThrough } from 'node:stream';
import type { Api } from '../../client/api.ts';
import { type Cli, createCli } from '../cli.ts';
import { contextsPath, LOCAL_CONTEXT, readContexts } from '../../client/endpoint.ts';

export type Candidate = { value: string; description: string };

/** A daemon that hangs must not block the user's shell. */
const PATIENCE_MS = 2000;

export type LiveKind = 'vm' | 'image' | 'operation' | 'template' | 'context';

const SOURCES: Readonly<Record<LiveKind, (api: Api, cli: Cli) => Promise<Candidate[]> | Candidate[]>> = {
  vm: async (api) => (await api.listVms()).map((vm) => ({ value: vm.name, description: `${vm.state}, ${vm.image}` })),
  image: async (api) =>
    (await api.listImages()).map(({ name, distribution, isDefault }) => ({
      value: name,
      description: isDefault ? `${distribution}, the default image` : distribution,
    })),
  template: async (api) =>
    (await api.listTemplates()).map(({ id, image, spec }) => ({
      value: id,
      description: `${image}, ${spec.vcpuCount} vCPUs, ${spec.memoryMib} MiB`,
    })),
  operation: async (api) =>
    (await api.listOperations()).map(({ id, verb, vmName, state }) => ({
      value: id,
      description: `${vmName === null ? verb : `${verb} ${vmName}`}, ${state}`,
    })),
  context: (_api, cli) => {
    const { contexts } = readContexts(contextsPath(cli.directories().configPath));
    const named = Object.entries(contexts).map(([value, { host }]) => ({ value, description: host }));
    return [{ value: LOCAL_CONTEXT, description: 'this machine' }, ...named];
  },
};

/** @returns the daemon's names; nothing if the daemon does not run, is another build, or takes too long. Never starts a daemon. */
export async function liveCandidates(cli: Cli, kind: LiveKind): Promise<Candidate[]> {
  const { env, stdin, stdout, programPath } = cli;
  const silent = createCli({ env, stdin, stdout, programPath, stderr: new PassThrough() });
  const patience = new Promise<Candidate[]>((resolve) => setTimeout(resolve, PATIENCE_MS, []).unref());
  try {
    return await Promise.race([SOURCES[kind](silent.runningApi(), silent), patience]);
  } catch {
    return [];
  }
}
