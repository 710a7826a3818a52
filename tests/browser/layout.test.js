// How the page looks while everything on it is used: on wide and narrow windows, light and dark. What a program can judge is
// judged here; the screenshots in build/browser are for a person's eye.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isLive, launch, openWindow, say, waitForLine } from './browser.js';
import { Stack } from './stack.js';

const SHOTS = fileURLToPath(new URL('../../build/browser/', import.meta.url));
const WIDTHS = { narrow: 320, medium: 800, wide: 1280 };
let browser, stack;

before(async () => {
    mkdirSync(SHOTS, { recursive: true });
    [browser, stack] = await Promise.all([launch(), Stack.start()]);
    stack.startChart();
});

after(async () => {
    await browser?.close();
    await stack?.stop();
});

/** Everything that can move something: chat lines (a long one, too), the chart, a text, the panel of sidecast.js. */
async function useEverything(page) {
    await isLive(page);
    await say(page, 'A line of one’s own');
    await stack.say('From another window, ' + 'andaverylongwordwithoutanyspaces'.repeat(4));
    await page.waitForFunction(() => points.length >= 3);
    await page.click('#feed-form button');
    await page.click('#text-form button');
    await page.waitForFunction(() => document.getElementById('feed-count').textContent >= 3);
    await page.check('#feed-form [name=polls]');
    await page.waitForFunction(() => document.getElementById('feed-state').textContent === 'Long polls');
    await page.waitForFunction(() => document.getElementById('text-output').getAttribute('aria-busy') === 'false');
}

/** Where everything stands, but for what is inside a box that scrolls. */
const places = (page) => page.evaluate(() => [...document.querySelectorAll('body *:not(.chat *, .text *, pre *, option)')]
    .filter((element) => element.checkVisibility())
    .map((element) => {
        const { left, top, height } = element.getBoundingClientRect();
        return [element.id || element.className || element.nodeName, left + scrollX, top + scrollY, height].join(' ');
    }));

/** Visible texts whose colour is not far enough from what is behind them (WCAG 2, AA: 4.5 to 1). */
const lowContrasts = (page) => page.evaluate(() => {
    const parse = (color) => color.match(/[\d.]+/g).map(Number);
    const luminance = (color) => {
        const [red, green, blue] = parse(color).map((value) => {
            const part = value / 255;
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const behind = (element) => {
        const { backgroundColor } = getComputedStyle(element);
        return (parse(backgroundColor)[3] ?? 1) > 0 ? backgroundColor : behind(element.parentElement);
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const element = node.parentElement;
        if (!node.data.trim() || !element.checkVisibility()) continue;
        const [a, b] = [luminance(getComputedStyle(element).color), luminance(behind(element))].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${node.data.trim().slice(0, 40)}`);
    }
    return found;
});

/** Elements that reach out of the window, or out of a box that neither scrolls nor is meant to hide. */
const overflows = (page) => page.evaluate(() => {
    const wide = document.documentElement.scrollWidth > innerWidth ? ['the page'] : [];
    const boxes = [...document.querySelectorAll('.live, .live *, .top, .top *, .path')].filter((box) => box.clientWidth > 0);
    const out = boxes.filter((box) => {
        const { display, overflowX } = getComputedStyle(box);
        return box.scrollWidth > box.clientWidth + 1 && display !== 'inline' && overflowX === 'visible';
    });
    return [...wide, ...out.map((box) => `${box.id || box.className || box.nodeName} ${box.scrollWidth} > ${box.clientWidth}`)];
});

for (const colorScheme of ['light', 'dark']) {
    for (const [name, width] of Object.entries(WIDTHS)) {
        test(`${name} (${width} px), ${colorScheme}: readable, nothing sticks out, nothing jumps`, async () => {
            const page = await openWindow(browser, stack, { colorScheme, viewport: { width, height: 900 } });
            const before = await places(page);
            await useEverything(page);
            await page.screenshot({ path: `${SHOTS}${name}-${colorScheme}.png`, fullPage: true });
            assert.deepEqual(await overflows(page), []);
            assert.deepEqual(await lowContrasts(page), []);
            const moved = (await places(page)).flatMap((place, index) => place === before[index] ? [] : [`${before[index]} → ${place}`]);
            assert.deepEqual(moved, []);
            assert.deepEqual(page.problems, []);
            await page.context().close();
        });
    }
}

test('it can be used by keyboard, and everything that can be used has a name', async () => {
    const page = await openWindow(browser, stack);
    await isLive(page);
    await page.focus('#chat-form [name=text]');
    await page.keyboard.type('by keyboard');
    await page.keyboard.press('Enter');
    await waitForLine(page, 'by keyboard');
    const nameless = await page.evaluate(() => [...document.querySelectorAll('input:not([type=hidden]), select, button, a, [role=img]')]
        .filter((element) => !(element.getAttribute('aria-label') || element.textContent.trim() || element.labels?.length))
        .map((element) => element.outerHTML));
    assert.deepEqual(nameless, []);
    await page.context().close();
});
