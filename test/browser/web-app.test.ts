// A real browser opens a web app of a guest by its name. Not part of make test: `make browser`.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { createVm, eventually, useSandbox } from '../support/machine/e2e.ts';

const BROWSER = '/usr/bin/chromium-headless-shell';
const PICTURES = join(import.meta.dirname, '../../dist/browser');

/** The page comes from one port, and asks another, on the name of that port; both say which name they were called by. */
const PAGE = `<!doctype html><title>guest</title><style>body{font:32px sans-serif;margin:2em;background:#eef}</style>
<h1>A web app in a guest</h1><p id=here></p><p id=there>waiting</p>
<script>here.textContent = 'loaded from ' + location.host;
fetch('http://3000.web.vm/').then((r) => r.text()).then((t) => { there.textContent = t; });</script>`;

const SERVER = String.raw`cat >/root/serve.pl <<'EOF'
use IO::Socket; my ($port, $file) = @ARGV;
my $s = IO::Socket::INET->new(LocalPort => $port, Listen => 50, ReuseAddr => 1) or die;
while (my $c = $s->accept) { my $host = ''; while (<$c>) { $host = $1 if /^host:\s*(\S+)/i; last if /^\r?\n$/ }
  my $b = $file ? do { local (@ARGV, $/) = $file; <> } : "port $port answers as $host";
  print $c "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\nContent-Length: " . length($b) . "\r\n\r\n$b"; close $c }
EOF
cat >/root/page.html
setsid perl /root/serve.pl 8080 /root/page.html >/dev/null 2>&1 &
setsid perl /root/serve.pl 3000 >/dev/null 2>&1 &`;

describe('a browser', () => {
  const sandbox = useSandbox();

  test('opens a web app of a guest by its name, which asks another port by its own (6.3)', async (t) => {
    await createVm(sandbox(), 'web');
    await sandbox().must(['vm', 'exec', 'web', '--', 'sh', '-c', SERVER], { input: PAGE });
    await eventually(
      'both ports',
      () => sandbox().must(['vm', 'ports', 'web', '-q']),
      (text) => text.includes(':8080/') && text.includes(':3000/'),
    );
    mkdirSync(PICTURES, { recursive: true });
    const profile = mkdtempSync(join(tmpdir(), 'bgr-browser-'));
    t.after(() => rmSync(profile, { recursive: true, force: true, maxRetries: 5 }));
    const argv = ['--no-sandbox', '--disable-gpu', `--user-data-dir=${profile}`, '--window-size=900,500', '--virtual-time-budget=5000'];
    const rules = `--host-resolver-rules=MAP *.vm 127.0.0.1:${sandbox().env['BANGER_HTTP_PORT']}, MAP * ~NOTFOUND`;
    const browse = promisify(execFile);
    const { stdout } = await browse(BROWSER, [...argv, rules, '--dump-dom', 'http://web.vm/'], { timeout: 120_000 });
    assert.match(stdout, /loaded from web\.vm</);
    assert.match(stdout, /port 3000 answers as 3000\.web\.vm/);
    await browse(BROWSER, [...argv, rules, `--screenshot=${join(PICTURES, 'web-app.png')}`, 'http://web.vm/'], { timeout: 120_000 });
    // Without any rule for names, as in a browser of a person who has set up nothing.
    const simple = `http://web.localhost:${sandbox().env['BANGER_HTTP_PORT']}/`;
    assert.match((await browse(BROWSER, [...argv, '--dump-dom', simple], { timeout: 120_000 })).stdout, /loaded from web\.localhost:/);
    const stopped = await sandbox()
      .must(['vm', 'stop', 'web'])
      .then(() => browse(BROWSER, [...argv, rules, '--dump-dom', 'http://web.vm/']));
    assert.match(stopped.stdout, /web is stopped[^]*banger vm start web/);
    await browse(BROWSER, [...argv, rules, `--screenshot=${join(PICTURES, 'stopped.png')}`, 'http://web.vm/'], { timeout: 120_000 });
  });
});
