// The text: a channel of its own for each request, gone with its listener and its history.

const textForm = document.getElementById('text-form');
const output = document.getElementById('text-output');
const textState = document.getElementById('text-state');

const seconds = (start) => ((performance.now() - start) / 1000).toFixed(2) + ' s';

function finish(stream, message) {
    stream.close();
    textState.textContent = message;
    output.setAttribute('aria-busy', 'false');
    textForm.elements.start.disabled = false;
}

textForm.addEventListener('submit', async (event) => {
    event.preventDefault();
    const topic = textForm.elements.topic.value;
    const start = performance.now();
    let answered = '';
    const allSaid = () => `${answered} The text took ${seconds(start)}.`;
    output.textContent = '';
    output.setAttribute('aria-busy', 'true');
    textState.textContent = 'Asking …';
    textForm.elements.start.disabled = true;

    // <shown>
    const id = randomId();
    // cursor=0: all that the channel has, whichever of the two is first
    const stream = new EventSource('/events?cursor=0&channel=text/' + id);
    stream.addEventListener('token', (event) => output.append(event.data));
    stream.addEventListener('end', () => finish(stream, allSaid()));

    const body = new URLSearchParams({ id, topic });
    const answer = await fetch('text.php', { method: 'POST', body });
    // </shown>
    if (!answer.ok) return finish(stream, `The page answered ${answer.status}.`);
    answered = `The page answered after ${seconds(start)}.`;
    textState.textContent = answered;
});
