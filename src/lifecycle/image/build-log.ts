import type { LifecycleServices } from '../../context/services.ts';

/** The whole output of a build, in a file; lines keep their order. */
export type BuildLog = { line(text: string): void; written(): Promise<void> };

/** The log only helps people: if the disk is full, the step that needs the space reports it. */
export function openBuildLog({ world: { files } }: Pick<LifecycleServices, 'world'>, path: string): BuildLog {
  let pending: string[] = [];
  let writing: Promise<void> | undefined;
  const write = async (): Promise<void> => {
    while (pending.length > 0) {
      const text = pending.map((line) => `${line}\n`).join('');
      pending = [];
      await files.appendText(path, text).catch(() => undefined);
    }
    writing = undefined;
  };
  return {
    line(text) {
      pending.push(text);
      writing ??= write();
    },
    written: async () => writing,
  };
}
