// The chat between two windows: everybody but the sender gets a line, once and in order.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { chatLines, isLive, launch, openWindow, say, waitForLine } from './browser.js';
import { Stack } from './stack.js';

let browser, stack, left, right;

before(async () => {
    [browser, stack] = await Promise.all([launch(), Stack.start()]);
});

after(async () => {
    await browser?.close();
    await stack?.stop();
});

beforeEach(async () => {
    [left, right] = await Promise.all([openWindow(browser, stack), openWindow(browser, stack)]);
    await Promise.all([isLive(left), isLive(right)]);
});

afterEach(async () => {
    await Promise.all([left, right].map((page) => page.context().close()));
    assert.deepEqual([...left.problems, ...right.problems], []);
});

test('a line reaches the other window, and its sender once', async () => {
    await say(left, 'Hello from the left');
    await waitForLine(right, 'Hello from the left');
    await say(right, 'Hello from the right');
    await waitForLine(left, 'Hello from the right');
    assert.deepEqual(await chatLines(left), ['>Hello from the left', 'Hello from the right']);
    assert.deepEqual(await chatLines(right), ['Hello from the left', '>Hello from the right']);
});

test('thirty lines back and forth all arrive, in order, soon', async () => {
    const earlier = await chatLines(left);
    const expected = { left: [], right: [] };
    let slowest = 0;
    for (let number = 0; number < 30; number++) {
        const [sender, receiver] = number % 3 === 0 ? ['left', 'right'] : ['right', 'left']; // also twice in a row
        const pages = { left, right };
        const text = `line ${number}`;
        const start = performance.now();
        await say(pages[sender], text);
        await waitForLine(pages[receiver], text);
        slowest = Math.max(slowest, performance.now() - start);
        expected[sender].push('>' + text);
        expected[receiver].push(text);
    }
    assert.deepEqual(await chatLines(left), [...earlier, ...expected.left]);
    assert.deepEqual(await chatLines(right), [...earlier, ...expected.right]);
    assert.ok(slowest < 2000, `the slowest line took ${slowest} ms from the click`);
});

test('a line that was not taken says so', async () => {
    await left.route('**/chat.php', (route) => route.fulfill({ status: 503 }));
    await say(left, 'lost');
    await left.waitForSelector('#chat-log .failed');
    assert.equal(await left.locator('#chat-log .failed').count(), 1);
});
