// Fetches a bundle and kills itself, as a power failure would, when a stage or a part of it begins:
// fetch-program.ts MANIFEST-URL DIRECTORY CACHE WHEN
import { realHost } from '../../../src/host/host.ts';
import { fetchBundle } from '../../../src/images/bundle/fetch-bundle.ts';

const [manifestUrl = '', directory = '', cacheDirectory = '', when] = process.argv.slice(2);

function dieAt(word: string): void {
  if (word === when) process.kill(process.pid, 'SIGKILL');
}

await fetchBundle({
  ...{ manifestUrl, directory, cacheDirectory, host: realHost, signal: new AbortController().signal },
  onStage: dieAt,
  onProgress: dieAt,
});
