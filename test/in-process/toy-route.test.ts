// Routes that are declared here alone: server, client, OpenAPI and docs/api.md take them from the declaration.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { z } from 'zod';
import { createRequests } from '../../src/client/call.ts';
import { createSend } from '../../src/client/send.ts';
import { bytes, declareRoutes, frames, json, lines, nothing } from '../../src/api/route.ts';
import { ROUTE_GROUPS, type Routes } from '../../src/api/routes.ts';
import { served } from '../../src/daemon/handlers.ts';
import { createServer } from '../../src/daemon/server.ts';
import { BangerError } from '../../src/model/errors.ts';
import { apiMarkdown } from '../../tools/docs/api-markdown.ts';
import { request, sendRaw } from '../support/user/raw-http.ts';
import { daemonFor } from '../support/daemon/test-daemon.ts';

const toySchema = z.strictObject({ name: z.string(), legs: z.number().int().min(0).max(8) }).meta({ id: 'Toy' });

const TOY_ROUTES = declareRoutes({
  'POST /v1/toys/:ref/grow': {
    does: 'gives a toy more legs',
    query: z.strictObject({ kind: z.enum(['wood', 'tin']).default('wood') }),
    body: z.strictObject({ legs: z.number().int().min(1).max(8) }),
    maxBodyBytes: 100,
    reply: json(toySchema, 201),
    errors: ['BUSY'],
  },
  'GET /v1/toys/:ref/steps': { does: 'walks', reply: lines(z.strictObject({ step: z.number() }), 'one step a line'), errors: [] },
  'PUT /v1/toys/:ref/paint': { does: 'paints a toy', upload: 'the paint', reply: nothing, errors: [] },
  'POST /v1/toys/:ref/talk': { does: 'talks to a toy', reply: frames, errors: ['BUSY'] },
  'GET /v1/toys/:ref/paint': { does: 'shows the paint', reply: bytes('text/plain', 'the paint'), errors: [] },
});

async function toyDaemon(t: TestContext) {
  const { services, world } = await daemonFor(t);
  const undeclared: string[] = [];
  let paint = '';
  const toys = served(TOY_ROUTES, {
    'POST /v1/toys/:ref/grow': ({ params, query, body }) => {
      if (params.ref === 'asleep') throw new BangerError('BUSY', 'it sleeps');
      if (params.ref === 'broken') throw new BangerError('NO_SPACE', 'there is no room for more legs');
      return { name: `${query.kind} ${params.ref}`, legs: body.legs };
    },
    async *'GET /v1/toys/:ref/steps'() {
      yield { step: 1 };
      yield { step: 2 };
    },
    'PUT /v1/toys/:ref/paint': async ({ body }) => {
      paint = (await body.content.toArray()).join('').slice(0, body.sizeBytes);
    },
    'POST /v1/toys/:ref/talk': ({ params }) => {
      throw params.ref === 'asleep' ? new BangerError('BUSY', 'it sleeps') : new BangerError('NO_SPACE', 'it has no mouth');
    },
    'GET /v1/toys/:ref/paint': (_asked, client) => client.send({ content: paint }),
  });
  const server = await createServer(
    services,
    { id: 'toy', version: '1' },
    { more: [{ title: 'Toys', ...toys }], onUndeclared: (route, code) => void undeclared.push(`${route}: ${code}`) },
  );
  t.after(() => server.close());
  const socketPath = join(world.directory, 'toy.sock');
  await server.listen({ path: socketPath });
  return { server, socketPath, undeclared, call: createRequests<Routes & typeof TOY_ROUTES>(createSend(socketPath)) };
}

test('a declared route is served, validated and typed without a change elsewhere (1.1)', async (t) => {
  const { call, socketPath, undeclared } = await toyDaemon(t);
  const toy = await call.json('POST /v1/toys/:ref/grow', { params: { ref: 'a/../b' }, query: { kind: 'tin' }, body: { legs: 4 } });
  assert.deepEqual(toy, { name: 'tin a/../b', legs: 4 });
  toy.legs.toFixed();
  // @ts-expect-error a toy has no arms
  assert.equal(toy.arms, undefined);
  const steps = await Array.fromAsync(await call.lines('GET /v1/toys/:ref/steps', { params: { ref: 'x' } }));
  assert.deepEqual(steps, [{ step: 1 }, { step: 2 }]);
  const upload = { bytes: Readable.from([Buffer.from('red')]), sizeBytes: 3 };
  await call.done('PUT /v1/toys/:ref/paint', { params: { ref: 'x' }, upload });
  const { socket } = await call.bytes('GET /v1/toys/:ref/paint', { params: { ref: 'x' } });
  assert.equal((await socket.toArray()).join(''), 'red');

  for (const [body, code] of [
    ['{"legs":9}', 'INVALID_INPUT'],
    ['{"legs":1,"arms":2}', 'INVALID_INPUT'],
    [JSON.stringify({ legs: 1, more: 'x'.repeat(100) }), 'PAYLOAD_TOO_LARGE'],
  ] as const) {
    const reply = await sendRaw(socketPath, request('POST', '/v1/toys/x/grow', body));
    assert.equal((reply.body as { code: string }).code, code, body);
  }
  assert.deepEqual(undeclared, []);
  assert.equal((await call.json('GET /v1/daemon/build')).build, 'toy');
});

test('an error that a route does not declare is noticed; declared and general errors are not (1.1)', async (t) => {
  const { call, undeclared } = await toyDaemon(t);
  const grow = (ref: string) => call.json('POST /v1/toys/:ref/grow', { params: { ref }, body: { legs: 1 } });
  await assert.rejects(grow('asleep'), { code: 'BUSY' });
  await assert.rejects(grow('x'.repeat(300)), { code: 'INVALID_INPUT' });
  assert.deepEqual(undeclared, []);
  await assert.rejects(grow('broken'), { code: 'NO_SPACE' });
  const talk = (ref: string) => call.frames('POST /v1/toys/:ref/talk', { params: { ref } });
  await assert.rejects(talk('asleep'), { code: 'BUSY' });
  await assert.rejects(talk('a/b'), { code: 'NO_SPACE', message: 'it has no mouth' });
  assert.deepEqual(undeclared, ['POST /v1/toys/:ref/grow: NO_SPACE', 'POST /v1/toys/:ref/talk: NO_SPACE']);
});

test('a declared route is in OpenAPI and in docs/api.md with its body, reply and errors (1.1)', async (t) => {
  const { server } = await toyDaemon(t);
  const { paths, components } = (await server.inject({ url: '/openapi.json' })).json();
  const grow = paths['/v1/toys/{ref}/grow'].post;
  assert.deepEqual(Object.keys(components.schemas.Toy.properties), ['name', 'legs']);
  assert.deepEqual(
    [grow.summary, grow.tags, grow.parameters.map(({ name }: { name: string }) => name), Object.keys(grow.responses)],
    ['gives a toy more legs', ['Toys'], ['kind', 'ref'], ['201', '400', '404', '409', '413', '500', 'default']],
  );
  assert.equal(components.responses[grow.responses['409'].$ref.split('/').pop()].description, 'AMBIGUOUS_REFERENCE or BUSY');
  assert.ok('/v1/vms' in paths);

  const page = apiMarkdown([...ROUTE_GROUPS, { title: 'Toys', routes: TOY_ROUTES }]);
  assert.ok(
    page.includes(
      '| `POST /v1/toys/:ref/grow` | gives a toy more legs | query `{kind?: wood\\|tin}`, `{legs}` of at most 100 B | 201 `Toy` | 409 `BUSY` |',
    ),
    page.slice(page.indexOf('## Toys')),
  );
});
