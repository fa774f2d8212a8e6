import type { LifecycleServices } from '../../context/services.ts';

/** The whole of what a build said, in a file; lines come in the order in which they were given. */
export type BuildLog = { line(text: string): void; written(): Promise<void> };

/** A log is a help and no result: a disk that cannot take it is told by the step that needs the room. */
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
