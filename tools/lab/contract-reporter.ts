// A reporter of node:test that keeps only tests of a driver contract, one JSON line each: what `make conformance` makes its table of.
import type { TestEvent } from 'node:test/reporters';

/** One promise of a contract, tried on one driver. */
export type ContractResult = { kind: string; driver: string; promise: string; outcome: 'pass' | 'fail' | 'skip' };

/** The contracts' tests are declared in one file per kind of driver, wherever they are run from. */
const CONTRACT_FILE = /src\/drivers\/([^/]+)\/conformance\.ts$/;

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

/** The driver is named by the suite (`hypervisor contract: qemu`, `network driver private`), or before a colon by the test itself. */
function driverOf(suites: readonly string[], name: string): { driver: string; promise: string } {
  const suite = /(?:contract:|driver) (.+)$/.exec(suites[0] ?? '')?.[1];
  if (suite !== undefined) return { driver: suite, promise: name };
  const [, driver = 'unnamed', promise = name] = /^(.+?): (.+)$/.exec(name) ?? [];
  return { driver, promise };
}
