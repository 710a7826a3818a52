// One stream for the whole window: the chat and the chart. `client` is what `except` in chat.php compares with.

const randomId = () => Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, '0')).join('');

// <shown>
const me = randomId();
const events = new EventSource(
    '/events?channel=chat&channel=chart&cursor=0&client=' + me
);
// </shown>

/** Shows in the element what an EventSource is doing. */
function showState(source, element) {
    const show = () => {
        const state = ['connecting', 'live', 'closed'][source.readyState];
        element.dataset.state = state;
        element.textContent = { connecting: 'Connecting …', live: 'Live', closed: 'Closed' }[state];
    };
    source.addEventListener('open', show);
    source.addEventListener('error', show); // EventSource is already on its way back: readyState is "connecting"
    show();
}

showState(events, document.getElementById('connection'));
