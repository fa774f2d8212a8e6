import type { OperationEvent } from '../../api/schemas.ts';
import { formatDuration } from '../../lib/duration.ts';
import { safeLine, toJson } from '../../lib/terminal-text.ts';
import { isSet } from '../../lib/is-set.ts';
import type { Cli } from '../cli.ts';
import { type Colour, paint } from './text.ts';

/** `brief`, for verbs that end something: a spinner while they run, and lines only for failures. */
export type ProgressMode = 'auto' | 'brief' | 'plain' | 'json' | 'none';

/** Renders the events of one operation as they come. */
export type StageView = { show(event: OperationEvent): void; close(): void };

type StageEvent = Extract<OperationEvent, { type: 'stage' }>;

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 80;
/** Shown if a stage fails; the log file has all lines. */
const KEPT_LOG_LINES = 15;

/**
 * Finished stages become lines. On a terminal, the running stage is the last line, with a spinner.
 * `auto` does that on a terminal, and prints plain lines elsewhere, in CI, or on a dumb terminal.
 */
export function createStageView(cli: Cli, mode: ProgressMode): StageView {
  const { stderr, env } = cli;
  if (mode === 'none') return { show: () => undefined, close: () => undefined };
  if (mode === 'json') return { show: (event) => cli.note(toJson(event)), close: () => undefined };
  const wanted = (event: StageEvent): boolean => mode !== 'brief' || event.status === 'failed';
  const wantsLines = mode === 'plain' || isSet(env['BANGER_PLAIN']) || isSet(env['CI']) || env['TERM'] === 'dumb';
  const live = !wantsLines && stderr.isTTY === true;
  return live ? liveView(cli, wanted) : plainView(cli, wanted);
}

/** @returns the line of a finished stage; nothing for a running stage, or one that had nothing to do */
export function stageLine({ stderr, env }: Pick<Cli, 'stderr' | 'env'>, event: StageEvent): string | undefined {
  const [colour, sign, word] = ENDINGS[event.status] ?? [];
  if (colour === undefined || sign === undefined) return undefined;
  const time = event.durationMs === undefined ? '' : `  ${paint(stderr, 'dim', formatDuration(event.durationMs))}`;
  const title = safeLine(event.title);
  if (isSet(env['BANGER_PLAIN'])) return `${word}: ${title}${time}`;
  return `${paint(stderr, colour, sign)} ${title}${event.status === 'undone' ? ' undone' : ''}${time}`;
}

/** The colour, the sign, and the word for screen readers. */
const ENDINGS: { readonly [Status in StageEvent['status']]?: readonly [Colour, string, string] } = {
  done: ['green', '✓', 'done'],
  failed: ['red', '✗', 'failed'],
  undone: ['yellow', '↩', 'undone'],
};

function plainView(cli: Cli, wanted: (event: StageEvent) => boolean): StageView {
  return {
    show(event) {
      if (event.type === 'log') cli.note(`  ${safeLine(event.line)}`);
      const line = event.type === 'stage' && wanted(event) ? stageLine(cli, event) : undefined;
      if (line !== undefined) cli.note(line);
    },
    close: () => undefined,
  };
}

function liveView(cli: Cli, wanted: (event: StageEvent) => boolean): StageView {
  const running = new Map<string, { title: string; text: string; sinceMs: number }>();
  const logLines: string[] = [];
  let frame = 0;
  const draw = (): void => {
    const stage = [...running.values()].at(-1);
    if (stage === undefined) return;
    const time = formatDuration(Math.max(0, Math.floor((performance.now() - stage.sinceMs) / 100) * 100));
    const text = `${stage.title}  ${time}${stage.text === '' ? '' : `  ${stage.text}`}`;
    const fitting = text.slice(0, Math.max(10, (cli.stderr.columns ?? 80) - 3));
    cli.stderr.write(`\r\u001b[2K${paint(cli.stderr, 'cyan', FRAMES[frame++ % FRAMES.length] ?? '')} ${fitting}`);
  };
  const timer = setInterval(draw, FRAME_MS);
  timer.unref();
  const clear = (): void => void cli.stderr.write('\r\u001b[2K');
  return {
    show(event) {
      if (event.type === 'log') logLines.push(safeLine(event.line));
      if (logLines.length > KEPT_LOG_LINES) logLines.shift();
      trackRunning(running, event);
      const line = event.type === 'stage' && wanted(event) ? stageLine(cli, event) : undefined;
      if (line !== undefined) {
        clear();
        cli.note(line);
        if (event.type === 'stage' && event.status === 'failed') for (const kept of logLines) cli.note(`  ${kept}`);
      }
      draw();
    },
    close() {
      clearInterval(timer);
      clear();
    },
  };
}

function trackRunning(running: Map<string, { title: string; text: string; sinceMs: number }>, event: OperationEvent): void {
  if (event.type === 'log') {
    const last = [...running.values()].at(-1);
    if (last !== undefined) last.text = safeLine(event.line);
    return;
  }
  if (event.type === 'progress') {
    const stage = running.get(event.stage);
    if (stage !== undefined)
      stage.text = safeLine(event.text) + (event.fraction === undefined ? '' : `  ${Math.round(event.fraction * 100)}%`);
    return;
  }
  if (event.type === 'stage' && event.status === 'started') {
    running.set(event.stage, { title: safeLine(event.title), text: '', sinceMs: performance.now() });
  } else if (event.type === 'stage') running.delete(event.stage);
  else running.clear();
}
