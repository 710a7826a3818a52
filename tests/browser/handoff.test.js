// A PHP page with a session decides who listens (hand-off): EventSource as it is, through restarts of php-fpm and a log-out.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { launch, openWindow } from './browser.js';
import { Stack, until } from './stack.js';

let browser, stack, page;

before(async () => {
    browser = await launch();
});

after(async () => {
    await browser?.close();
});

afterEach(async () => {
    await page.context().close();
    await stack.stop();
});

const session = (input) => page.evaluate(async (body) => (await fetch('/session.php', { method: 'POST', body })).ok, JSON.stringify(input));

/** Logs in and opens streams that note each state an error leaves behind, and what they get. */
async function listen(count) {
    assert.ok(await session({ user: 'alice', grant: { Channels: 'chat' } }));
    await page.evaluate((many) => {
        window.streams = Array.from({ length: many }, () => {
            const stream = { source: new EventSource('/events.php'), states: [], texts: [] };
            stream.source.addEventListener('error', () => stream.states.push(stream.source.readyState));
            stream.source.addEventListener('chat', (event) => stream.texts.push(JSON.parse(event.data).text));
            return stream;
        });
    }, count);
    await page.waitForFunction(() => streams.every(({ source }) => source.readyState === EventSource.OPEN));
}

test('php-fpm is away while clients come back: none gives up, and each gets what it missed, once', async () => {
    stack = await Stack.start();
    page = await openWindow(browser, stack);
    await page.evaluate(() => events.close()); // a browser opens six connections to a host
    await listen(4);
    await stack.say('before');
    await page.waitForFunction(() => streams.every(({ texts }) => texts.length === 1));

    await stack.stopPhp();
    stack.reloadNginx(); // cuts the streams; they come back to a page that is not there
    await page.waitForFunction(() => streams.every(({ states }) => states.length >= 3));
    stack.startPhp();
    await until('a message to be taken', () => stack.say('meanwhile').catch(() => false));
    await page.waitForFunction(() => streams.every(({ texts }) => texts.length === 2));
    const seen = await page.evaluate(() => streams.map(({ texts, states }) => [texts, states.includes(EventSource.CLOSED)]));
    assert.deepEqual(seen, Array(4).fill([['before', 'meanwhile'], false]));
});

test('who has logged out does not come back', async () => {
    stack = await Stack.start();
    page = await openWindow(browser, stack);
    await listen(1);
    assert.ok(await session({ user: null }));
    stack.reloadNginx();
    await page.waitForFunction(() => streams[0].source.readyState === EventSource.CLOSED);
});
