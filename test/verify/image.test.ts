// The whole default build with what it takes from outside, and a machine that starts from it. Minutes, and the registries that npm
// and apt are set to; BANGER_PROVISION_GIT_MIRROR names a mirror of the tmux plugins where the usual place cannot be reached.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createVm, guest, settled, startBanger, useSandbox } from '../support/machine/e2e.ts';

const mirror = process.env['BANGER_PROVISION_GIT_MIRROR'];
const sandbox = useSandbox(mirror === undefined ? {} : { env: { BANGER_PROVISION_GIT_MIRROR: mirror } });

const stagesOf = (text: string): string[] => text.split('\n').filter((line) => line.startsWith('✓ '));

test('image build --from default makes a development image, and VMs of it have all that it promises (8.3, 8.4)', async () => {
  // A mirror of somebody else's in the file system is what git must be told to trust.
  writeFileSync(join(sandbox().directory, 'home', '.gitconfig'), '[safe]\n\tdirectory = *\n', { mode: 0o644 });
  const flags = ['image', 'build', '--from', 'default', '--name', 'dev', '--progress', 'plain'];
  const build = startBanger(sandbox(), flags);
  assert.equal((await build.ended).status, 0, build.stderr());
  console.log(`the build:\n${stagesOf(build.stderr()).join('\n')}`);
  for (const image of ['default', 'dev']) {
    const create = startBanger(sandbox(), ['vm', 'create', '--name', image, '--image', image, '--progress', 'plain']);
    assert.equal((await create.ended).status, 0, create.stderr());
    console.log(`a VM of ${image}:\n${stagesOf(create.stderr()).join('\n')}`);
  }
  const vm = guest(sandbox(), 'dev');
  const say = async (script: string): Promise<string> => {
    const said = await vm.sh(script, { timeoutMs: 600_000 });
    console.log(`$ ${script}\n${said}`);
    return said;
  };
  assert.match(await say('mise --version'), /^20\d\d\.\d+\.\d+ linux-x64/);
  assert.equal(await say("bash -lc 'command -v opencode'"), '/root/.local/share/mise/shims/opencode');
  assert.match(await say("bash -lc 'opencode --version'"), /^\d+\.\d+\.\d+$/);
  assert.equal(await say("curl -s -o /dev/null -w '%{http_code}' localhost:4096"), '200');
  assert.match(await say("bash -ic 'type mise' 2>/dev/null | head -n 1"), /function/);
  assert.equal(await say('git --version | cut -c 1-11; cc --version | head -c 2; jq -n 1'), 'git version\ncc1');
  assert.equal(await settled(vm), 'running');
  assert.equal(await say("grep -cE '^(overlay|br_netfilter) ' /proc/modules"), '2');
  await say('tmux new-session -d -s check; sleep 10; tmux list-keys | grep -o "resurrect/scripts/[a-z]*.sh" | sort -u');
  // The plugins are loaded in the background, which takes long where everything is translated.
  await vm.sh('for try in $(seq 300); do tmux show-options -gqv status-right | grep -q continuum_save && break; sleep 1; done', {
    timeoutMs: 600_000,
  });
  const settings = await say('tmux show-options -gqv @continuum-restore; tmux show-options -gqv status-right | grep -c continuum_save');
  assert.deepEqual(settings.split('\n'), ['off', '1']);
  assert.match(await vm.sh('tmux list-keys'), /resurrect\/scripts\/restore\.sh/);
  assert.equal(await say('systemctl is-active opencode'), 'active');
  await createVm(sandbox(), 'second', '--image', 'dev');
  await sandbox().must(['vm', 'delete', '-f', 'default', 'dev', 'second'], { timeoutMs: 300_000 });
  await sandbox().must(['image', 'delete', 'dev']);
});
