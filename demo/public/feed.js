// sidecast.js at work: the same two channels as above on a connection of its own, as a stream or by long polls.

import { listen } from './sidecast.js';

const feedForm = document.getElementById('feed-form');
const feedState = document.getElementById('feed-state');
const { toggle, polls } = feedForm.elements;
const NAMES = {
    connecting: ['connecting', 'Connecting …'],
    stream: ['live', 'Event stream'],
    poll: ['live', 'Long polls'],
    waiting: ['connecting', 'Waiting …'],
    closed: ['off', 'Not listening'],
};
let feed = null;
let cursor = null;

const add = (id, number) => {
    const element = document.getElementById(id);
    element.textContent = Number(element.textContent) + number;
};

function show(state, problem) {
    [feedState.dataset.state, feedState.textContent] = problem ? ['closed', problem.error ?? problem.status] : NAMES[state];
    toggle.textContent = state === 'closed' ? 'Listen' : 'Stop';
}

function count({ id }) {
    add('feed-count', 1);
    document.getElementById('feed-cursor').textContent = id;
}

// <shown>
function start() {
    const from = cursor ? '&cursor=' + cursor : '';
    feed = listen('/events?channel=chat&channel=chart' + from, {
        chat: count,
        chart: count, // one place for all: { id, channel, event, data }
    }, {
        stream: !polls.checked,
        gap: () => add('feed-gaps', 1),
        state: show, // connecting, stream, poll, waiting, closed
    });
}
// </shown>

function stop() {
    cursor = feed.cursor ?? cursor;
    feed.close();
    feed = null;
}

feedForm.addEventListener('submit', (event) => {
    event.preventDefault();
    feed && feed.state !== 'closed' ? stop() : start();
});
polls.addEventListener('change', () => {
    if (!feed || feed.state === 'closed') return;
    stop();
    start();
});
show('closed');
