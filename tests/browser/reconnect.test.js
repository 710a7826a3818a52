// A window of the demo, with nothing but EventSource, through reloads, restarts and a full server: it always comes back, with
// the id of its last event, and never ends in readyState CLOSED.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { chatLines, isLive, launch, openWindow, say, waitForLine } from './browser.js';
import { Stack, until } from './stack.js';

const GAP = '!Some messages are no longer in history.';
let browser, stack;
const pages = [];

before(async () => {
    browser = await launch();
});

after(async () => {
    await browser?.close();
});

afterEach(async () => {
    const ends = [];
    for (const page of pages.splice(0)) {
        ends.push({ states: await page.evaluate(() => window.states), problems: page.problems });
        await page.context().close();
    }
    await stack.stop();
    for (const { states, problems } of ends) {
        assert.ok(!states.includes(2), `readyState was CLOSED: ${states}`);
        assert.deepEqual(problems, []);
    }
});

/** A window that notes each readyState that an error leaves behind, and the newest id. */
async function watchedWindow() {
    const page = await openWindow(browser, stack);
    pages.push(page);
    await page.evaluate(() => {
        window.states = [events.readyState];
        events.addEventListener('error', () => window.states.push(events.readyState));
        events.addEventListener('chat', (event) => (window.newest = event.lastEventId));
    });
    return page;
}

/** The next request of the window's stream. */
const nextStream = (page) => page.waitForRequest((request) => request.url().includes('/events?channel=chat'));

const lastEventId = async (request) => (await request.allHeaders())['last-event-id'];

/** Takes a place in the server as soon as there is one; returns what gives it back. */
async function takePlace() {
    let answer; // kept by what is returned: an answer that nobody holds is collected, and its connection closed
    await until('a place', async () => {
        answer = await fetch(`${stack.url}/events?channel=chat`);
        if (!answer.headers.has('content-length')) return true; // a stream; a refusal is a whole answer
        await answer.text();
        return false;
    });
    return () => answer.body.cancel();
}

test('a reload of nginx: it comes back with its Last-Event-ID and gets what it missed, once', async () => {
    stack = await Stack.start();
    const page = await watchedWindow();
    await isLive(page);
    await stack.say('before');
    await waitForLine(page, 'before');
    const newest = await page.evaluate(() => window.newest);

    const request = nextStream(page);
    stack.reloadNginx(); // the old worker process cuts the stream
    await page.waitForFunction(() => events.readyState === EventSource.CONNECTING);
    await until('a message to be taken', () => stack.say('meanwhile').catch(() => false));
    assert.equal(await lastEventId(await request), newest);
    await waitForLine(page, 'meanwhile');
    await stack.say('after');
    await waitForLine(page, 'after');
    assert.deepEqual(await chatLines(page), ['before', 'meanwhile', 'after']);
});

// With hub.state_dir, as the demo has it, history comes over the restart; without, it is gone.
const LIVES = [['and its history comes back: no gap', [], []], ['and history is gone: it hears of the gap', ['--hub.state_dir='], [GAP]]];
for (const [how, options, lost] of LIVES) {
    test(`a restart of sidecast, ${how}, and it gets everything that comes`, async () => {
        stack = await Stack.start({ options: ['--sse.retry=200ms', ...options] });
        const page = await watchedWindow();
        await isLive(page);
        await stack.say('before');
        await waitForLine(page, 'before');
        const newest = await page.evaluate(() => window.newest);

        await stack.stopSidecast();
        await page.waitForFunction(() => window.states.length >= 3); // it met nothing but nginx at least once
        const request = nextStream(page);
        await stack.startSidecast();
        assert.equal(await lastEventId(await request), newest);
        assert.ok(await stack.say('after'));
        await waitForLine(page, 'after');
        assert.deepEqual(await chatLines(page), ['before', ...lost, 'after']);
    });
}

test('a full server: who is refused for the moment comes in when there is room', async () => {
    stack = await Stack.start({ options: ['--hub.max_clients=1', '--sse.refused_retry=100ms'] });
    const inside = await watchedWindow();
    await isLive(inside);
    const outside = await watchedWindow();
    await outside.waitForFunction(() => window.states.length >= 3); // refused, and again
    await say(inside, 'I am in');

    await inside.goto('about:blank');
    pages.splice(pages.indexOf(inside), 1);
    await waitForLine(outside, 'I am in'); // from history
    await stack.say('So am I');
    await waitForLine(outside, 'So am I');
    assert.deepEqual(await chatLines(outside), ['I am in', 'So am I']);
});

test('a full server on the way back: it is refused, keeps its Last-Event-ID, and gets what it missed, once', async () => {
    stack = await Stack.start({ options: ['--hub.max_clients=1', '--sse.refused_retry=100ms'] });
    const page = await watchedWindow();
    await isLive(page);
    await stack.say('one');
    await waitForLine(page, 'one');
    const newest = await page.evaluate(() => window.newest);

    const requests = [];
    page.on('request', (request) => request.url().includes('/events?channel=chat') && requests.push(request));
    stack.reloadNginx();
    await page.waitForFunction(() => events.readyState === EventSource.CONNECTING);
    const leave = await takePlace(); // before the window is back, which waits for sse.retry
    await page.waitForFunction(() => window.states.length >= 4); // cut, refused, and refused again
    assert.ok(await stack.say('two'));
    const refused = await Promise.all(requests.slice(0, 2).map((request) => request.response()));
    assert.deepEqual(refused.map((answer) => [answer.status(), 'content-length' in answer.headers()]), [[200, true], [200, true]]);

    await leave();
    await waitForLine(page, 'two'); // from history
    assert.ok(await stack.say('three'));
    await waitForLine(page, 'three');
    assert.deepEqual(await chatLines(page), ['one', 'two', 'three']);
    assert.ok(requests.length >= 3);
    assert.deepEqual(new Set(await Promise.all(requests.map(lastEventId))), new Set([newest]));
});

test('sidecast is away when a window opens: it gets in later', async () => {
    stack = await Stack.start();
    await stack.stopSidecast();
    const page = await watchedWindow();
    await page.waitForFunction(() => window.states.length >= 2);
    await stack.startSidecast();
    await stack.say('Hello');
    await waitForLine(page, 'Hello');
    assert.deepEqual(await chatLines(page), ['Hello']);
});
