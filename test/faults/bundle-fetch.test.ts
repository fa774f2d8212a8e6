// The fetch of a bundle, broken at every single thing that it does to the host; its death is in fetch-bundle.test.ts, by real processes.
import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { realHost } from '../../src/host/host.ts';
import { bundleStatus } from '../../src/images/bundle/bundle-status.ts';
import { fetchBundle } from '../../src/images/bundle/fetch-bundle.ts';
import { BangerError } from '../../src/model/errors.ts';
import { packagedBundle, temporaryDirectory } from '../support/images/bundle-fixture.ts';
import { createEffects } from '../support/daemon/effects.ts';

const SYNC = ['isAlive', 'signalProcess', 'bootId', 'commandEnvironment', 'openUnpacked'];

for (const fault of ['failure', 'cancel'] as const) {
  test(`a fetch of a bundle with a ${fault} at anything leaves the former bundle or the new one, whole, and nothing beside it (2.5, 9.5)`, async (t) => {
    const source = temporaryDirectory(t);
    const [former, latter] = [await packagedBundle(source, 'one'), await packagedBundle(source, 'two')];
    const root = temporaryDirectory(t);
    const directory = join(root, 'bundle');
    const effects = createEffects();
    const fetchInto = (place: string, manifest: string, signal = new AbortController().signal) => {
      const host = effects.watch('host', realHost, SYNC);
      const nothing = (): undefined => undefined;
      const cacheDirectory = join(root, 'cache');
      const manifestUrl = pathToFileURL(manifest).href;
      return fetchBundle({ manifestUrl, directory: place, cacheDirectory, host, signal, onStage: nothing, onProgress: nothing });
    };
    const whole = join(root, 'former');
    await fetchInto(whole, former.manifest);
    const readManifest = (): string => readFileSync(join(directory, 'bundle.json'), 'utf8');
    let cases = 0;
    for (let n = 1, came: string | undefined = 'none'; came !== undefined; n++) {
      for (const phase of ['before', 'after'] as const) {
        rmSync(directory, { recursive: true, force: true });
        cpSync(whole, directory, { recursive: true });
        const [files, manifest] = [readdirSync(directory).toSorted(), readManifest()];
        const ending = new AbortController();
        let count = 0;
        came = undefined;
        effects.hook = ({ name }, now) => {
          if (now !== phase || came !== undefined || ++count !== n) return;
          came = name;
          if (fault === 'failure') throw new BangerError('STORAGE_FAILED', `${name} made to fail`);
          ending.abort();
        };
        const error = await fetchInto(directory, latter.manifest, ending.signal).then(
          () => undefined,
          (thrown: BangerError) => thrown,
        );
        effects.hook = () => undefined;
        if (came === undefined) break;
        cases++;
        const what = `${n}: ${fault} ${phase} ${String(came)}: ${String(error)}`;
        if (error !== undefined) assert.match(error.code, /^(STORAGE_FAILED|CANCELLED|DOWNLOAD_FAILED)$/, what);
        if (readManifest() === manifest) assert.deepEqual(readdirSync(directory).toSorted(), files, what);
        const { found, problems } = await bundleStatus({
          places: { besideProgram: directory, checkout: null },
          sourceRoot: null,
          verify: true,
          host: realHost,
        });
        assert.deepEqual([found, problems], [true, []], what);
        assert.deepEqual(
          readdirSync(directory).filter((name) => name.includes('partial')),
          [],
          what,
        );
      }
    }
    t.diagnostic(`${cases} different cases of a ${fault}`);
    assert.ok(cases > 40, `only ${cases} cases`);
    await fetchInto(directory, latter.manifest);
    assert.match(readManifest(), /debian two/);
  });
}
