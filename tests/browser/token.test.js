// Tokens that end while a page listens: sidecast.js with its token(), and what docs/protocol.md says for EventSource as it is.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { launch, openWindow } from './browser.js';
import { Stack } from './stack.js';

const SECRET = 'a secret of the tests, with more than 32 bytes';
const CHANNEL = 'orders/7'; // not public
const SHORT_MS = 2_000; // long enough for a message
const LONG_MS = 60_000;
// Without leeway a token is not good any more from its end on.
const SIDECAST = ['--token.leeway=0', '--poll.timeout=200ms', '--sse.retry=500ms', '--sse.refused_retry=100ms'];
const QUICK = { openWithin: 2_000, pollFor: 60_000, retry: 20 };
let browser, stack, page;

before(async () => {
    [browser, stack] = await Promise.all([launch(), Stack.start({ options: SIDECAST, secret: SECRET })]);
});

after(async () => {
    await browser?.close();
    await stack?.stop();
});

beforeEach(async () => {
    page = await openWindow(browser, stack);
    page.context().setDefaultTimeout(20_000); // the lines try again after 5 s
    await page.evaluate(() => {
        events.close(); // the demo's own
        Object.assign(window, { heard: [], states: [], gaps: [], problem: null, show: (data) => heard.push(data) });
    });
});

afterEach(async () => {
    await page.context().close();
    assert.deepEqual(page.problems, []);
});

function token(ms, secret = SECRET) {
    const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const text = `${encode({ alg: 'HS256' })}.${encode({ channels: [CHANNEL], exp: (Date.now() + ms) / 1000 })}`;
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

/** A token that is good for longer, and a message while nobody listens. */
async function tokenAndMessage() {
    await publish('meanwhile');
    return token(LONG_MS);
}

const fails = () => { throw new Error('the page that makes tokens is away'); };

/** One answer after the other, the last one again and again; `asked` tells how many. */
function inTurn(answers) {
    const next = () => answers[Math.min(next.asked++, answers.length - 1)]();
    next.asked = 0;
    return next;
}

/** sidecast.js, with these answers of token(). */
async function listen(options, ...answers) {
    const next = inTurn(answers);
    await page.exposeFunction('newToken', next);
    await page.evaluate(async ([channel, options]) => {
        const { listen } = await import('/sidecast.js');
        window.feed = listen(`/events?channel=${channel}`, { message: ({ data }) => show(data) }, {
            ...options,
            token: () => (window.asking = newToken()),
            gap: (gap) => gaps.push(gap),
            state: (state, problem) => { states.push(state); window.problem = problem ?? null; },
        });
    }, [CHANNEL, { ...QUICK, ...options }]);
    return next;
}

const get = (name) => page.evaluate((name) => window[name], name);
const publish = async (text) => assert.ok(await stack.publish(CHANNEL, text));
const hears = (text) => page.waitForFunction((text) => heard.includes(text), text);
const isIn = (state) => page.waitForFunction((state) => feed.state === state, state);

/** Before the token's end, then what came at that time, then after it: each once. */
async function assertNothingLost() {
    await publish('before');
    await hears('before');
    await hears('meanwhile');
    await publish('after');
    await hears('after');
    assert.deepEqual(await get('heard'), ['before', 'meanwhile', 'after']);
}

for (const [stream, name] of [[true, 'stream'], [false, 'poll']]) {
    test(`a token ends (${name}): a new one is asked for once, and it goes on from its cursor`, async () => {
        const refused = [];
        page.on('response', (response) => response.status() === 401 && refused.push(response.url()));
        const tokens = await listen({ stream }, () => token(SHORT_MS), tokenAndMessage);
        await isIn(name);
        await assertNothingLost();
        assert.deepEqual([tokens.asked, refused.length], [2, stream ? 0 : 1]); // a poll is not told, it meets the end
        assert.deepEqual(await get('states'), ['connecting', name, 'connecting', name]);
        assert.deepEqual(await get('gaps'), []);
    });

    test(`token() fails, at the start and at the token's end (${name}): it waits and asks again`, async () => {
        const tokens = await listen({ stream }, fails, () => null, () => token(SHORT_MS), fails, tokenAndMessage);
        await isIn(name);
        await assertNothingLost();
        assert.equal(tokens.asked, 5);
        const waits = ['connecting', 'waiting'];
        assert.deepEqual(await get('states'), [...waits, ...waits, 'connecting', name, ...waits, 'connecting', name]);
        assert.deepEqual(await get('gaps'), []);
    });

    test(`a token that is not good ends it and says why (${name}): no other is asked for`, async () => {
        const tokens = await listen({ stream }, () => token(LONG_MS, 'another secret, with more than 32 bytes as well'));
        await isIn('closed');
        const { status, error } = await get('problem');
        assert.deepEqual([status, error, tokens.asked], [401, 'token_invalid', 1]);
    });
}

test('close() while a token is on its way ends it for good', async () => {
    let give;
    const tokens = await listen({}, () => new Promise((resolve) => { give = resolve; }));
    await page.waitForFunction(() => !!window.asking);
    await page.evaluate(() => feed.close());
    const requests = [];
    page.on('request', (request) => request.url().includes('token=') && requests.push(request.url()));
    give(token(LONG_MS));
    await page.evaluate(() => asking.then(() => null));
    await publish('unheard');
    assert.deepEqual([requests, tokens.asked, await get('states')], [[], 1, ['connecting', 'closed']]);
});

// --- the lines of docs/protocol.md, as they stand there ---

const DOCUMENT = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
const [, SECTION] = DOCUMENT.split('### The end of a permission\n');
const [COOKIE_LINES, QUERY_LINES] = [...SECTION.split('\n## ')[0].matchAll(/^```js\n(.*?)^```$/gms)].map(([, lines]) => lines);

/** The page that gives tokens answers so; null: not at all. */
async function answersTokens(...answers) {
    const next = inTurn(answers);
    await page.route('**/token.php', async (route) => {
        const answer = await next();
        await (answer ? route.fulfill(typeof answer === 'string' ? { body: answer } : answer) : route.abort());
    });
    return next;
}

/** As a script of the site, which is all that the demo's Content-Security-Policy lets in. */
async function runLines(lines) {
    await page.route('**/lines.js', (route) => route.fulfill({ contentType: 'text/javascript', body: lines }));
    await page.addScriptTag({ url: '/lines.js' });
}

/** Runs the lines, and waits until the page listens. */
async function listenByLines() {
    const answer = page.waitForResponse((response) => response.url().includes('token='));
    await runLines(QUERY_LINES);
    assert.equal((await answer).status(), 200);
}

test('EventSource with a token in the URL goes on with a new one, as soon as there is one', async () => {
    const tokens = await answersTokens(() => token(SHORT_MS), () => null, tokenAndMessage);
    await listenByLines();
    await assertNothingLost();
    assert.equal(tokens.asked, 3);
});

test('EventSource with a token in the URL that ended while it was away goes on with a new one', async () => {
    const tokens = await answersTokens(() => token(LONG_MS), tokenAndMessage);
    await listenByLines();
    await publish('before');
    await hears('before');
    await page.route((url) => url.pathname === '/events', (route) => route.fulfill({ status: 401 }), { times: 1 });
    stack.reloadNginx(); // cuts the stream
    await hears('meanwhile');
    await publish('after');
    await hears('after');
    assert.deepEqual(await get('heard'), ['before', 'meanwhile', 'after']);
    assert.equal(tokens.asked, 2);
});

test('EventSource with a token in the URL ends when there is no new one', async () => {
    const tokens = await answersTokens(() => token(SHORT_MS), () => ({ status: 401 }));
    await page.clock.install(); // what is tried again is tried within 5 s
    const refusal = page.waitForResponse((response) => response.url().endsWith('/token.php') && response.status() === 401);
    await listenByLines();
    await refusal;
    await page.clock.fastForward(6_000);
    await publish('unheard');
    assert.deepEqual([await get('heard'), tokens.asked], [[], 2]);
});

test('EventSource with a token in a cookie comes back by itself with the one that the page has got meanwhile', async () => {
    const cookie = (ms) => ({ name: 'sidecast_token', value: token(ms), url: stack.url, httpOnly: true });
    let renewals = 0;
    await page.route('**/cookie.php', async (route) => {
        renewals++;
        await page.context().addCookies([cookie(LONG_MS)]);
        await route.fulfill({ status: 204 });
    });
    await page.context().addCookies([cookie(SHORT_MS)]);
    await page.clock.install(); // the lines renew every five minutes
    await runLines(COOKIE_LINES);
    await page.evaluate((channel) => {
        window.source = new EventSource(`/events?channel=${channel}`);
        source.onmessage = ({ data }) => show(data);
        source.onopen = () => states.push('open');
        source.onerror = () => states.push(source.readyState === EventSource.CLOSED ? 'closed' : 'connecting');
        source.addEventListener('sidecast.expired', () => show('expired'));
        source.addEventListener('sidecast.gap', () => show('gap'));
    }, CHANNEL);
    await page.waitForFunction(() => states.length === 1);
    await publish('before');
    await hears('before');
    await page.clock.fastForward(5 * 60_000);
    await hears('expired');
    await publish('meanwhile');
    await hears('meanwhile');
    assert.deepEqual(await get('heard'), ['before', 'expired', 'meanwhile']);
    assert.deepEqual(await get('states'), ['open', 'connecting', 'open']);
    assert.equal(renewals, 1);
});
