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
    assert.equal((await (await request).allHeaders())['last-event-id'], newest);
    await waitForLine(page, 'meanwhile');
    await stack.say('after');
    await waitForLine(page, 'after');
    assert.deepEqual(await chatLines(page), ['before', 'meanwhile', 'after']);
});

test('a restart of sidecast: it hears of the gap and gets everything that comes', async () => {
    stack = await Stack.start({ options: ['--sse.retry=200ms'] });
    const page = await watchedWindow();
    await isLive(page);
    await stack.say('before');
    await waitForLine(page, 'before');

    await stack.stopSidecast();
    await page.waitForFunction(() => window.states.length >= 3); // it met nothing but nginx at least once
    await stack.startSidecast();
    assert.ok(await stack.say('after'));
    await waitForLine(page, 'after');
    assert.deepEqual(await chatLines(page), ['before', GAP, 'after']);
});

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
