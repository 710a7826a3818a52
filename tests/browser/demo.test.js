// The demo's other two: the chart, and the text that arrives word by word.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launch, openWindow } from './browser.js';
import { Stack } from './stack.js';

let browser, stack, page;

before(async () => {
    [browser, stack] = await Promise.all([launch(), Stack.start()]);
    stack.startChart();
    page = await openWindow(browser, stack);
});

after(async () => {
    await browser?.close();
    await stack?.stop();
});

const drawing = () => page.evaluate(() => document.getElementById('chart-canvas').toDataURL());

test('the chart moves: each value that is shown is drawn', async () => {
    const seen = new Set();
    for (let change = 0; change < 4; change++) {
        const before = await page.textContent('#chart-value');
        await page.waitForFunction((old) => document.getElementById('chart-value').textContent !== old, before);
        seen.add(await drawing());
    }
    assert.equal(seen.size, 4);
});

test('a new window has the chart of the last half minute at once', async () => {
    await page.waitForFunction(() => points.length >= 5);
    const before = await page.evaluate(() => points.map((point) => point.time));
    await page.reload();
    await page.waitForFunction((last) => points.some((point) => point.time === last), before.at(-1));
    const after = await page.evaluate(() => points.map((point) => point.time));
    assert.deepEqual(after.slice(0, before.length), before);
});

test('a text arrives word by word, whole, after its page has answered', async () => {
    const texts = fileURLToPath(new URL('../../demo/texts.php', import.meta.url));
    const expected = JSON.parse(execFileSync('php', ['-r', 'echo json_encode(require $argv[1]);', texts]));
    await page.selectOption('#text-form select', 'order');
    await page.click('#text-form button');
    const lengths = await page.evaluate(() => new Promise((resolve) => {
        const output = document.getElementById('text-output');
        const lengths = [];
        new MutationObserver(() => {
            lengths.push(output.textContent.length);
            if (output.getAttribute('aria-busy') === 'false') resolve(lengths);
        }).observe(output, { childList: true, attributes: true });
    }));
    assert.equal(await page.textContent('#text-output'), expected.order.text);
    assert.ok(lengths.length > 20, `it came in ${lengths.length} pieces`);
    const [, answered, took] = (await page.textContent('#text-state')).match(/after ([\d.]+) s\. The text took ([\d.]+) s/);
    assert.ok(Number(answered) < Number(took), `answered after ${answered} s, text after ${took} s`);
});

test('the code beside each demo is there', async () => {
    for (const code of await page.locator('pre code').all()) assert.notEqual((await code.textContent()).trim(), '');
    assert.deepEqual(page.problems, []);
});
