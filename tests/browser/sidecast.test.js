// demo/public/sidecast.js: it comes back from where EventSource ends, goes on by long poll from the same cursor, tells of gaps.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { launch, openWindow } from './browser.js';
import { Stack, until } from './stack.js';

// A poll that meets the end of sidecast is told when to come back (refused_retry, 5 to 30 s if nothing is said).
// Without hub.state_dir history is gone after a restart: a gap.
const SIDECAST = ['--poll.timeout=200ms', '--sse.retry=50ms', '--sse.refused_retry=100ms', '--hub.state_dir='];
const QUICK = { openWithin: 2_000, pollFor: 500, retry: 20 };
let browser, stack, page;

before(async () => {
    [browser, stack] = await Promise.all([launch(), Stack.start({ options: SIDECAST })]);
});

after(async () => {
    await browser?.close();
    await stack?.stop();
});

beforeEach(async () => {
    page = await openWindow(browser, stack);
});

afterEach(async () => {
    await page.context().close();
    assert.deepEqual(page.problems, []);
});

/** Listens in the page; `heard`, `states`, `gaps` and `problem` of the window tell what came of it. */
async function listen(url, options) {
    await page.evaluate(async ([url, options]) => {
        const { listen } = await import('/sidecast.js');
        Object.assign(window, { heard: [], states: [], gaps: [], problem: null });
        const chat = ({ id, channel, event, data }) => heard.push({ id, channel, event, text: JSON.parse(data).text });
        window.feed = listen(url, { chat }, {
            ...options,
            gap: (gap) => gaps.push(gap),
            state: (state, problem) => { states.push(state); window.problem = problem ?? null; },
        });
    }, [url, { ...QUICK, ...options }]);
}

const get = (name) => page.evaluate((name) => window[name], name);
const isIn = (state) => page.waitForFunction((state) => feed.state === state, state);
/** Entered the state after its first; it may have left it since. */
const wasIn = (state) => page.waitForFunction((state) => states.lastIndexOf(state) > 0, state);
const hears = (text) => page.waitForFunction((text) => heard.some((message) => message.text === text), text);
const texts = async () => (await get('heard')).map((message) => message.text);
const isStream = (request) => request.headers().accept === 'text/event-stream' && request.url().includes('envelope=1');

/** What is between the window and nginx answers streams so, and lets everything else through. */
const onStreams = (answer) => page.route('**/events?*', (route) => isStream(route.request()) ? answer(route) : route.fallback());

const sayUntilTaken = (text) => until('a message to be taken', () => stack.say(text).catch(() => false));

test('all channels of a stream come to one place, each message with its channel', async () => {
    await listen('/events?channel=chat&channel=chart');
    await isIn('stream');
    await stack.say('Hello');
    await hears('Hello');
    const [message] = await get('heard');
    assert.equal(message.channel, 'chat');
    assert.equal(message.event, 'chat');
    assert.equal(message.id, await page.evaluate(() => feed.cursor));
    assert.deepEqual(await get('states'), ['connecting', 'stream']);
});

test('an answer that ends EventSource: long polls go on from the same cursor, then the stream, nothing lost or twice', async () => {
    await listen('/events?channel=chat');
    await isIn('stream');
    await stack.say('one');
    await hears('one');

    await onStreams((route) => route.fulfill({ status: 502 }));
    stack.reloadNginx(); // cuts the stream
    await wasIn('connecting');
    await sayUntilTaken('two');
    await hears('two');
    await stack.say('three');
    await hears('three');
    assert.ok((await get('states')).includes('poll'));

    await page.unroute('**/events?*');
    await isIn('stream');
    await stack.say('four');
    await hears('four');
    assert.deepEqual(await texts(), ['one', 'two', 'three', 'four']);
    assert.deepEqual(await get('gaps'), []);
});

test('a stream that is held back on its way: long polls from the cursor that the page gave', async () => {
    await stack.say('for history');
    await onStreams(() => {}); // no answer, ever
    await listen('/events?channel=chat&cursor=0', { openWithin: 100, pollFor: 60_000 });
    await hears('for history');
    await stack.say('live');
    await hears('live');
    const states = await get('states');
    assert.deepEqual(states, ['connecting', 'poll']);
    const ids = (await get('heard')).map((message) => message.id);
    assert.equal(new Set(ids).size, ids.length);
});

for (const stream of [true, false]) {
    test(`a gap is told ${stream ? 'on a stream' : 'by long poll'}, then what history has`, async () => {
        await stack.say('kept');
        await listen('/events?channel=chat&cursor=1-0', { stream });
        await hears('kept');
        const gaps = await get('gaps');
        assert.equal(gaps.length, 1);
        assert.deepEqual(gaps[0].channels, stream ? ['chat'] : null);
        assert.equal(gaps[0].oldest, (await get('heard'))[0].id);
    });
}

test('an answer that is final ends it and says why', async () => {
    await listen('/events?channel=secret');
    await isIn('closed');
    const { status, error, message } = await get('problem');
    assert.deepEqual([status, error], [403, 'not_allowed']);
    assert.notEqual(message, '');
});

for (const stream of [true, false]) {
    test(`sidecast is away for a while (${stream ? 'stream' : 'long polls'}): it comes back and tells of the gap`, async () => {
        await listen('/events?channel=chat', { stream });
        await isIn(stream ? 'stream' : 'poll');
        await stack.say('before');
        await hears('before');
        await stack.stopSidecast();
        await wasIn(stream ? 'connecting' : 'waiting');
        await stack.startSidecast();
        await stack.say('after');
        await hears('after');
        assert.deepEqual(await texts(), ['before', 'after']);
        assert.equal((await get('gaps')).length, 1);
    });
}

test('close() ends it for good', async () => {
    await listen('/events?channel=chat', { stream: false });
    await isIn('poll');
    await page.evaluate(() => feed.close());
    assert.equal(await get('problem'), null);
    const requests = [];
    page.on('request', (request) => request.url().includes('envelope=1') && requests.push(request.url()));
    await stack.say('unheard');
    await page.waitForFunction(() => [...document.querySelectorAll('#chat-log li')].some((line) => line.lastChild.textContent === 'unheard'));
    assert.deepEqual(await texts(), []);
    assert.deepEqual(requests, []);
});

test("the demo's switch from stream to long polls keeps the cursor", async () => {
    await page.click('#feed-form button');
    await page.waitForFunction(() => document.getElementById('feed-state').textContent === 'Event stream');
    await stack.say('by stream');
    await page.waitForFunction(() => document.getElementById('feed-count').textContent === '1');
    await page.check('#feed-form [name=polls]');
    await stack.say('by poll');
    await page.waitForFunction(() => document.getElementById('feed-count').textContent === '2');
    assert.equal(await page.textContent('#feed-state'), 'Long polls');
    assert.equal(await page.textContent('#feed-gaps'), '0');
});
