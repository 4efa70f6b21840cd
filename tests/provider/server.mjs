// A real OpenID Connect provider for tests: oidc-provider with the clients and people of the first line of its input.
//
// Reads one JSON document from standard input, {"clients": [...], "accounts": {sub: claims}}, binds a free
// loopback port, and writes one JSON line, {"issuer": ...}. Each further line is a command, answered by one line; see
// `commands`. Ends when standard input closes: no orphan survives the tests. Instead of passwords, its one page has a
// button per person, and one that says no.

import dns from 'node:dns';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import { createInterface } from 'node:readline';

import Provider, { interactionPolicy } from 'oidc-provider';
import MemoryAdapter from 'oidc-provider/lib/adapters/memory_adapter.js';

console.info = console.error; // standard output is for answers

const lines = createInterface({ input: process.stdin });
const options = JSON.parse((await once(lines, 'line'))[0]);
lines.on('close', () => process.exit(0));

// Browsers find every *.localhost on this machine; the resolver of Node may not.
const { lookup } = dns;
dns.lookup = (name, ...rest) => lookup(name.endsWith('.localhost') ? '127.0.0.1' : name, ...rest);
syncBuiltinESMExports();

const server = createServer();
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address();
const issuer = `http://127.0.0.1:${port}`;

const signingKey = (type, options, members) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }),
  use: 'sig',
  ...members,
});

const store = new Map();
const claimNames = [...new Set(Object.values(options.accounts).flatMap(Object.keys))];
// Claims that come with a scope of their own only, as at many makes: {"groups": ["groups"]}.
const scoped = options.scoped_claims ?? {};
const unscoped = claimNames.filter((name) => !Object.values(scoped).flat().includes(name));
const policy = interactionPolicy.base();
// Every client here is the company's own: it is asked for consent only where the request wants that.
const { checks } = policy.get('consent');
checks.splice(0, checks.length, checks.get('consent_prompt'));

const grantsOf = new Map(); // by person, the ids of their grants

const provider = new Provider(issuer, {
  clients: options.clients,
  jwks: { keys: [signingKey('rsa', { modulusLength: 2048 }, { kid: 'rsa', alg: 'RS256' })] },
  cookies: { keys: ['only-for-tests'] },
  claims: {
    openid: ['sub', 'sid'],
    email: ['email', 'email_verified'],
    profile: ['name', 'picture', 'preferred_username'],
    // Roles, groups and tenants come with "openid", as from most companies' providers.
    ...(options.claims_with_openid === false ? {} : { openid: ['sub', 'sid', ...unscoped] }),
    ...scoped,
  },
  // As its own, which forgets all but a thousand entries.
  adapter: class extends MemoryAdapter {
    constructor(model) {
      super(model, store);
    }
  },
  conformIdTokenClaims: options.thin_id_token !== false,
  pkce: { required: () => true },
  rotateRefreshToken: true,
  // Its own dispatcher refuses loopback addresses.
  fetch: (url, { dispatcher, ...rest }) => fetch(url, rest),
  scopes: ['openid', 'profile', 'email', 'offline_access', ...Object.keys(scoped)],
  features: {
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) => {
        ctx.body = page('Sign out?', `${form}<button type="submit" form="op.logoutForm" name="logout" value="yes">`
          + 'Yes, sign me out</button><button type="submit" form="op.logoutForm">No, stay signed in</button>');
      },
    },
  },
  interactions: { policy, url: (_, interaction) => `/interaction/${interaction.uid}` },
  ttl: { Session: 3600, Grant: 3600, Interaction: 600, IdToken: 3600, AccessToken: 3600, RefreshToken: 86400 },
  findAccount: (_, sub) => (options.accounts[sub]
    ? { accountId: sub, claims: () => ({ sub, ...options.accounts[sub] }) } : undefined),
  loadExistingGrant: async (ctx) => {
    const { client, session, params, provider: { Grant } } = ctx.oidc;
    // The same one for each tab: a code is bound to the grant that the session holds for the client.
    const known = session.grantIdFor(client.clientId) && await Grant.find(session.grantIdFor(client.clientId));
    const grant = known || new Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope(params.scope);
    const id = await grant.save();
    grantsOf.set(session.accountId, (grantsOf.get(session.accountId) ?? new Set()).add(id));
    return grant;
  },
  renderError: (ctx, out) => {
    ctx.body = page('Error', `<pre>${JSON.stringify(out).replaceAll('<', '&lt;')}</pre>`);
  },
});

function page(title, body) {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><h1>${title}</h1>${body}</html>`;
}

async function interaction(request, response, action) {
  const { params } = await provider.interactionDetails(request, response);
  if (request.method === 'GET') {
    const buttons = Object.entries(options.accounts).map(([sub, claims]) => `<form method="post" `
      + `action="${request.url.split('?')[0]}/${encodeURIComponent(sub)}"><button>${claims.name ?? sub}</button></form>`);
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    response.end(page(`Sign in to ${params.client_id}`, `${buttons.join('')}<form method="post" `
      + `action="${request.url.split('?')[0]}/-/refuse"><button>No</button></form>`));
  } else if (action === '-/refuse') {
    await provider.interactionFinished(request, response, {
      error: 'access_denied', error_description: 'The person said no.',
    });
  } else {
    const login = { accountId: decodeURIComponent(action) };
    await provider.interactionFinished(request, response, { login, consent: {} });
  }
}

const answer = provider.callback();
server.on('request', (request, response) => {
  const found = /^\/interaction\/[^/?]+\/?([^?]*)/.exec(request.url);
  if (!found) {
    answer(request, response);
    return;
  }
  interaction(request, response, found[1]).catch((error) => {
    response.statusCode = 400;
    response.end(page('Error', error.message));
  });
});

const issued = []; // every access and refresh token
const logoutAnswers = []; // what clients have answered to logout tokens
provider.on('access_token.saved', (token) => issued.push(token.jti));
provider.on('refresh_token.saved', (token) => issued.push(token.jti));
provider.on('backchannel.success', (_, client) => logoutAnswers.push({ client: client.clientId, status: 200 }));
provider.on('backchannel.error', (_, error, client) => {
  logoutAnswers.push({ client: client.clientId, status: error.response?.status ?? null, error: `${error.message}: ${error.cause}` });
});

const commands = {
  // Changes claims of a person; without claims, the person is there no more.
  change: ({ sub, claims }) => {
    if (claims) Object.assign(options.accounts[sub], claims);
    else delete options.accounts[sub];
  },
  // Withdraws what a person has granted to clients.
  revoke: async ({ sub }) => {
    const ids = [...(grantsOf.get(sub) ?? [])];
    grantsOf.delete(sub);
    await Promise.all(ids.map(async (id) => (await provider.Grant.find(id))?.destroy()));
    return ids.length;
  },
  leave: async () => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  },
  back: async () => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  },
  issued: () => issued,
  logoutAnswers: () => logoutAnswers,
};
let last = Promise.resolve();
lines.on('line', (line) => {
  const { command, ...rest } = JSON.parse(line);
  last = last.then(() => commands[command](rest)).then((done) => {
    process.stdout.write(`${JSON.stringify(done ?? null)}\n`);
  });
});

process.stdout.write(`${JSON.stringify({ issuer })}\n`);
