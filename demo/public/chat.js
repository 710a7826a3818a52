// The chat: what others say comes from the stream; one's own line is shown at once and is left out of the stream.

const chatForm = document.getElementById('chat-form');
const chatLog = document.getElementById('chat-log');

function addLine(name, text, kind = '') {
    const line = document.createElement('li');
    const author = document.createElement('b');
    author.textContent = name;
    line.append(author, text);
    line.className = kind;
    chatLog.append(line);
    while (chatLog.children.length > 200) chatLog.firstChild.remove();
    chatLog.scrollTop = chatLog.scrollHeight;
    return line;
}

chatForm.elements.client.value = me;
chatForm.elements.name.value = 'Guest ' + me.slice(0, 3);

// <shown>
events.addEventListener('chat', (event) => {
    const { name, text } = JSON.parse(event.data);
    addLine(name, text);
});

chatForm.addEventListener('submit', async (event) => {
    event.preventDefault();
    const fields = new FormData(chatForm); // client, name, text
    const line = addLine(fields.get('name'), fields.get('text'), 'own');
    chatForm.elements.text.value = '';
    const answer = await fetch('chat.php', { method: 'POST', body: fields });
    if (!answer.ok) line.classList.add('failed');
});
// </shown>

events.addEventListener('sidecast.gap', () => addLine('', 'Some messages are no longer in history.', 'notice'));
