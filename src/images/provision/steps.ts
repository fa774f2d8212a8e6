import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProvisionStep } from '../../model/provisioning.ts';

const FILE = /^\d\d-([a-z0-9-]+)\.sh$/;

/** @param lists package lists by file name, which a step may name instead of packages */
export function parseStep(fileName: string, script: string, lists: (name: string) => readonly string[]): ProvisionStep {
  const header = /^(?:#.*\n)*/.exec(script)?.[0] ?? '';
  const words = (field: string): string[] => {
    const value = new RegExp(`^# ${field}: (.+)$`, 'm').exec(header)?.[1] ?? '';
    return value.split(/\s+/).filter((word) => word !== '');
  };
  const name = FILE.exec(fileName)?.[1] ?? fileName;
  return {
    name,
    title: words('Title').join(' ') || name,
    script,
    packages: words('Packages').flatMap((word) => (word.endsWith('.txt') ? lists(word) : [word])),
    artifacts: words('Artifacts'),
    needs: words('Needs'),
    isOptional: words('Optional').join() === 'yes',
    servicePorts: words('Service port').map(Number),
  };
}

/** @returns the steps of a folder in the order of their numbers */
export async function readSteps(folder: string, lists: (name: string) => readonly string[]): Promise<ProvisionStep[]> {
  const names = (await readdir(folder)).filter((name) => FILE.test(name)).toSorted();
  return Promise.all(names.map(async (name) => parseStep(name, await readFile(join(folder, name), 'utf8'), lists)));
}
