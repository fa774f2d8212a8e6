import { isSet } from '../lib/is-set.ts';
import type { Cli } from './cli.ts';
import { guarded } from './render/text.ts';
import { onInterrupt } from './interrupts.ts';

const ESC = '\u001b[';
/** The alternate screen, without cursor; long lines are cut at the edge. */
const ENTER = `${ESC}?1049h${ESC}?25l${ESC}?7l`;
const LEAVE = `${ESC}?7h${ESC}?25h${ESC}?1049l`;
/** q, Ctrl-C, Ctrl-D: a terminal in raw mode turns none of them into signals. */
const KEYS_THAT_END = ['q', 'Q', '\u0003', '\u0004'];

/** A screen that is redrawn until the user quits. */
export type LiveScreen = {
  /** Fires at q, Ctrl-C, or a signal to end. */
  readonly signal: AbortSignal;
  draw(lines: readonly string[]): void;
  close(): void;
};

/**
 * On a terminal, each frame replaces the previous one. Elsewhere frames follow each other, separated by an empty line.
 * @param forPrograms the lines are data: they always follow each other, with nothing between them
 */
export function openLiveScreen(cli: Cli, forPrograms: boolean): LiveScreen {
  const ending = new AbortController();
  const stopListening = onInterrupt(() => ending.abort());
  const isLive = !forPrograms && cli.stdout.isTTY === true && cli.env['TERM'] !== 'dumb' && !isSet(cli.env['BANGER_PLAIN']);
  if (isLive) cli.stdout.write(ENTER);
  const stopReading = isLive && cli.stdin.isTTY === true ? readKeys(cli, ending) : () => undefined;
  let isFirst = true;
  return {
    signal: ending.signal,
    draw(lines) {
      if (isLive) cli.stdout.write(frame(lines, cli.stdout.rows ?? 24));
      else for (const line of isFirst || forPrograms ? lines : ['', ...lines]) cli.print(line);
      isFirst = false;
    },
    close() {
      stopListening();
      stopReading();
      if (isLive) cli.stdout.write(LEAVE);
    },
  };
}

/** One write, which clears each line only behind its end: nothing is blank in between, so nothing flickers. */
export function frame(lines: readonly string[], rows: number): string {
  return `${ESC}H${lines
    .slice(0, rows)
    .map((line) => `${guarded(line)}${ESC}K`)
    .join('\r\n')}${ESC}J`;
}

function readKeys({ stdin }: Cli, ending: AbortController): () => void {
  const listener = (chunk: Buffer): void => {
    const typed = chunk.toString('latin1');
    if (KEYS_THAT_END.some((key) => typed.includes(key))) ending.abort();
  };
  stdin.setRawMode?.(true);
  stdin.on('data', listener);
  return () => {
    stdin.off('data', listener);
    stdin.setRawMode?.(false);
    stdin.pause();
  };
}
