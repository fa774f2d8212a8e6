// A reporter for node:test that only keeps tests of a driver contract, one JSON line each, for the table of `make conformance`.
import type { TestEvent } from 'node:test/reporters';

/** One promise of a contract, tested on one driver. */
export type ContractResult = { kind: string; driver: string; promise: string; outcome: 'pass' | 'fail' | 'skip' };

/** The contracts' tests are declared in one file per kind of driver, whatever file runs them. */
const CONTRACT_FILE = /src\/drivers\/([^/]+)\/conformance(?:-[a-z]+)?\.ts$/;

export default async function* contractReporter(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const open: string[] = [];
  for await (const { type, data } of events) {
    if (type === 'test:start') {
      open.length = data.nesting;
      open.push(data.name);
    }
    if ((type !== 'test:pass' && type !== 'test:fail') || data.details.type === 'suite') continue;
    const kind = CONTRACT_FILE.exec(data.file ?? '')?.[1];
    if (kind === undefined) continue;
    const outcome = type === 'test:fail' ? 'fail' : data.skip === undefined ? 'pass' : 'skip';
    yield `${JSON.stringify({ kind, ...driverOf(open.slice(0, data.nesting), data.name), outcome } satisfies ContractResult)}\n`;
  }
}

/** The driver's name is in the suite (`hypervisor contract: qemu`, `network driver private`), or in the test's name before a colon. */
function driverOf(suites: readonly string[], name: string): { driver: string; promise: string } {
  const suite = /(?:contract:|driver) (.+)$/.exec(suites[0] ?? '')?.[1];
  if (suite !== undefined) return { driver: suite, promise: name };
  const [, driver = 'unnamed', promise = name] = /^(.+?): (.+)$/.exec(name) ?? [];
  return { driver, promise };
}
