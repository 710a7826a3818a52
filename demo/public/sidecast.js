// What EventSource lacks, in one file to copy. Most pages do not need it: five lines of plain EventSource are enough.
//
//     import { listen } from './sidecast.js';
//     const feed = listen('/events?channel=chat&channel=chart', {
//         chat: ({ data, channel, id }) => addLine(JSON.parse(data)), // by event name; `message`: those without one
//         chart: ({ data }) => addPoint(JSON.parse(data)),
//     }, { gap: () => location.reload() });
//
// - One place for all channels of a connection: `channel` says whose a message is.
// - It comes back. EventSource ends for good on any answer but 200. This goes on by long poll; if that gets a 4xx, it
//   ends and tells why; after any other failure it tries again, 5 to 30 s later.
// - Where no stream gets through, it long-polls from the same cursor, nothing twice and nothing missing, and tries a stream
//   every ten minutes. (A proxy that passes a stream's head but holds its body back goes unnoticed: say stream: false.)
// - With tokens in the URL it gets a new one when the old one expires, and goes on from its cursor.
//
// Options: token(): a promise of the token to go into the URL, asked for again when that expires; with a token in a cookie there is
// nothing to do here, the page renews the cookie in time. gap({after, oldest, channels}): history has lost messages after the cursor, load the page's data anew; a long
// poll does not say in which channels, `channels` is null then. state(name, problem): 'connecting', 'stream', 'poll',
// 'waiting' (to try again), 'closed'; if an answer ended it, `problem` is {status, error, message}. stream: false for long
// polls only. withCredentials: cookies to another origin. openWithin: ms after which a stream does not get through; pollFor:
// ms until one is tried again; retry: ms, it tries again after 1 to 6 times this. Returned: {cursor, state, close()}.

const STUCK_MS = 60_000; // longer than any wait that a server asks for: 30 s of `retry:`, 25 s of long poll

export function listen(url, handlers, options = {}) {
    const { stream = true, withCredentials = false, openWithin = 10_000, pollFor = 600_000, retry = 5_000 } = options;
    const feed = { cursor: null, state: null, close: () => end() };
    let source, request, timer, failures, token, tokenWorked;

    function set(state, problem) {
        if (feed.state === state) return;
        feed.state = state;
        options.state?.(state, problem);
    }
    function after(ms, next) { clearTimeout(timer); timer = setTimeout(next, ms); }
    function stop() { clearTimeout(timer); source?.close(); request?.abort(); }
    function end(problem) { stop(); set('closed', problem); }
    function address() { // of the names for a cursor, last_event_id wins over one that `url` may have
        const here = new URL(url, document.baseURI);
        here.searchParams.set('envelope', 1);
        if (feed.cursor) here.searchParams.set('last_event_id', feed.cursor);
        if (token) here.searchParams.set('token', token);
        return here;
    }
    function tell(id, handler, message) {
        feed.cursor = id ?? feed.cursor;
        try { handler?.(message); } catch (error) { reportError(error); }
    }

    function connect() {
        stop();
        set('connecting');
        if (options.token && !token) return renew();
        if (!stream) return poll();
        failures = 0;
        source = new EventSource(address(), { withCredentials });
        for (const name of new Set(['message', ...Object.keys(handlers)])) {
            source.addEventListener(name, ({ lastEventId: id, data }) => tell(id, handlers[name], { id, ...JSON.parse(data) }));
        }
        source.addEventListener('sidecast.open', ({ lastEventId: id }) => tell(id));
        source.addEventListener('sidecast.gap', ({ lastEventId: id, data }) => tell(id, options.gap, JSON.parse(data)));
        source.addEventListener('sidecast.expired', ({ lastEventId: id }) => { tell(id); if (token) forgetToken(); });
        source.onopen = () => { clearTimeout(timer); failures = 0; tokenWorked = true; set('stream'); };
        source.onerror = () => { // it comes back by itself, unless it is closed or never gets as far as `open`
            if (source.readyState === EventSource.CLOSED || ++failures > 3) return poll();
            set('connecting');
            after(STUCK_MS, poll);
        };
        after(openWithin, poll);
    }

    function forgetToken() { token = null; connect(); }

    async function renew() {
        tokenWorked = false;
        after(STUCK_MS, tryAgain);
        const fresh = await Promise.resolve().then(options.token).catch(() => null);
        if (feed.state !== 'connecting') return; // closed meanwhile
        token = fresh;
        token ? connect() : tryAgain();
    }

    async function poll() {
        stop();
        const { signal } = request = new AbortController();
        const credentials = withCredentials ? 'include' : 'same-origin';
        const init = { signal, credentials, cache: 'no-store', headers: { Accept: 'application/json' } };
        for (const until = performance.now() + pollFor; !signal.aborted && performance.now() < until;) {
            after(STUCK_MS, tryAgain);
            const answer = await fetch(address(), init).catch(() => null);
            const body = await answer?.json().catch(() => null);
            if (signal.aborted) return;
            if (answer?.status === 401 && tokenWorked && token) return forgetToken(); // it has expired
            if (!answer?.ok || !body) return tryAgain(answer, body);
            tokenWorked = true;
            set('poll');
            if (body.gap) tell(null, options.gap, { after: feed.cursor, oldest: body.messages[0]?.id ?? null, channels: null });
            for (const message of body.messages) {
                if (signal.aborted) return; // closed by a handler
                tell(message.id, handlers[message.event ?? 'message'], message);
            }
            feed.cursor = body.cursor;
        }
        if (!signal.aborted) connect();
    }

    function tryAgain(answer, body) {
        const { status = 0 } = answer ?? {};
        if (status >= 400 && status < 500 && status !== 408 && status !== 429) return end({ status, ...body });
        stop();
        set('waiting');
        after(1000 * Number(answer?.headers.get('Retry-After')) || retry * (1 + 5 * Math.random()), connect);
    }

    connect();
    return feed;
}
