// A real OpenID Connect provider for tests: oidc-provider with the clients and people of the first line of its input.
//
// Reads one JSON document from standard input, {"clients": [...], "accounts": {sub: claims}}, binds a free
// loopback port, and writes one JSON line, {"issuer": ...}. Ends when standard input closes: no orphan
// survives the tests. Instead of passwords, its one page has a button per person, and one that says no.

import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

import Provider, { interactionPolicy } from 'oidc-provider';

const lines = createInterface({ input: process.stdin });
const options = JSON.parse((await once(lines, 'line'))[0]);
lines.on('close', () => process.exit(0));

const server = createServer();
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const issuer = `http://127.0.0.1:${server.address().port}`;

const signingKey = (type, options, members) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }),
  use: 'sig',
  ...members,
});

const claimNames = [...new Set(Object.values(options.accounts).flatMap(Object.keys))];
// Claims that come with a scope of their own only, as at many makes: {"groups": ["groups"]}.
const scoped = options.scoped_claims ?? {};
const unscoped = claimNames.filter((name) => !Object.values(scoped).flat().includes(name));
const policy = interactionPolicy.base();
policy.remove('consent'); // every client here is the company's own

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
  conformIdTokenClaims: options.thin_id_token !== false,
  pkce: { required: () => true },
  scopes: ['openid', 'profile', 'email', 'offline_access', ...Object.keys(scoped)],
  features: {
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) => {
        ctx.body = page('Sign out?', `${form}<button type="submit" form="op.logoutForm" name="logout" value="yes">`
          + 'Yes, sign me out</button>');
      },
    },
  },
  interactions: { policy, url: (_, interaction) => `/interaction/${interaction.uid}` },
  ttl: { Session: 3600, Grant: 3600, Interaction: 600, IdToken: 3600, AccessToken: 3600 },
  findAccount: (_, sub) => (options.accounts[sub]
    ? { accountId: sub, claims: () => ({ sub, ...options.accounts[sub] }) } : undefined),
  loadExistingGrant: async (ctx) => {
    const { client, session, params, provider: { Grant } } = ctx.oidc;
    // The same one for each tab: a code is bound to the grant that the session holds for the client.
    const known = session.grantIdFor(client.clientId) && await Grant.find(session.grantIdFor(client.clientId));
    const grant = known || new Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope(params.scope);
    await grant.save();
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
    await provider.interactionFinished(request, response, { login: { accountId: decodeURIComponent(action) } });
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

process.stdout.write(`${JSON.stringify({ issuer })}\n`);
