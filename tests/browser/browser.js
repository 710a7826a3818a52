// Debian's chromium, headless, with a fresh profile that goes when it is closed.

import { chromium } from 'playwright-core';

export const launch = () => chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
        '--no-sandbox', // chromium's does not run as root, as in a container
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
    ],
});

/** A window of the demo in a context (cookies, storage, but not connections) of its own; what its scripts complain of fails the test. */
export async function openWindow(browser, stack, contextOptions = {}) {
    const context = await browser.newContext(contextOptions);
    context.setDefaultTimeout(10_000);
    const page = await context.newPage();
    page.problems = [];
    page.on('pageerror', (error) => page.problems.push(String(error)));
    await page.goto(stack.url);
    return page;
}

export const isLive = (page) => page.waitForFunction(() => events.readyState === EventSource.OPEN);

export const say = async (page, text) => {
    await page.fill('#chat-form [name=text]', text);
    await page.click('#chat-form button');
};

/** The texts in the window's chat, in order: its own marked with a >, and notices with a !. */
export const chatLines = (page) => page.evaluate(() => [...document.querySelectorAll('#chat-log li')].map((line) => {
    const mark = { own: '>', notice: '!' }[line.className] ?? '';
    return mark + line.lastChild.textContent;
}));

export const waitForLine = (page, text) => page.waitForFunction(
    (wanted) => [...document.querySelectorAll('#chat-log li')].some((line) => line.lastChild.textContent === wanted), text);
